package dashboard

import (
	"html/template"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/glance"
	"tfpilot/internal/ledger"
	"tfpilot/internal/timeline"
	"tfpilot/internal/words"
)

// functions are what templates may call.
func functions() template.FuncMap {
	return template.FuncMap{
		"count": words.Count, "seconds": words.Seconds, "bytes": words.Bytes, "percent": words.Percent, "share": share,
		"clock": words.Clock, "date": words.Date, "iso": words.ISO, "ago": words.Ago, "took": words.Took,
		"after": words.After, "moment": words.Moment, "instant": words.Instant,
		"p50": func(q document.Quantiles) string { return quantile(q, q.P50) },
		"p95": func(q document.Quantiles) string { return quantile(q, q.P95) },
		"max": func(q document.Quantiles) string { return quantile(q, q.Max) },
		"add": func(numbers ...int) (sum int) {
			for _, n := range numbers {
				sum += n
			}
			return sum
		},
		"parts": parts, "said": timeline.Said, "goal": goal, "pager": newPager, "indent": indent, "lines": newLines,
		"failures": func(v page, run string, of []document.FailureCount) failures { return failures{v, run, of} },
		"fates":    func(v page, run string, of document.FailureCount) fates { return fates{v, run, of} },
		"logof":    logOf, "filename": ledger.FileName,
		"list":    func(items ...any) []any { return items },
		"things":  glance.Things,
		"planned": func(w document.WorkerLastWord) bool { return w.Code == 0 || exitcode.Class(w.Class).Blameless() },
		"lastof": func(n int, list []document.BoardLatency) []document.BoardLatency {
			return list[max(0, len(list)-n):]
		},
		"lastpoints": func(n int, list []document.DemandPoint) []document.DemandPoint {
			return list[max(0, len(list)-n):]
		},
	}
}

func quantile(q document.Quantiles, value float64) string {
	if q.N == 0 {
		return words.None
	}
	return words.Seconds(value)
}

// share is how much of the whole a part is, from 0 to 1.
func share(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
