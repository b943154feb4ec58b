package dashboard

import (
	"bytes"
	"encoding/json"
	"math"

	"tfpilot/internal/document"
)

// part is one of a bar's parts, in hundredths.
type part struct {
	Kind     string
	X, Width float64
}

// piece is how many slices are of a kind.
type piece struct {
	kind string
	n    int
}

// parts are what has become of slices.
func parts(s document.SliceCounts) []part {
	return divide(s.Published, piece{"done", s.Done}, piece{"failed", s.Failed}, piece{"waiting", s.Outstanding})
}

// divide makes the parts of a bar. What is not nothing is to be seen.
func divide(whole int, pieces ...piece) []part {
	var out []part
	at := 0.0
	for _, of := range pieces {
		if of.n <= 0 || whole <= 0 {
			continue
		}
		width := max(1, math.Round(1e4*share(of.n, whole))/100)
		width = min(width, 100-at)
		out = append(out, part{of.kind, at, width})
		at += width
	}
	return out
}

// indent writes JSON for people; what is none as it is.
func indent(body json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}

// goal says whether a time to results is one that the experiment aims at.
func goal(seconds float64) string {
	switch {
	case seconds <= document.AimSeconds:
		return "within the aim of 10 s"
	case seconds <= document.GoalSeconds:
		return "within the goal of 30 s"
	default:
		return "past the goal of 30 s"
	}
}

// pager leads through the pages of a list.
type pager struct{ First, Next string }

func newPager(v page, next string) (out pager) {
	if v.query.Get("after") != "" {
		out.First = v.Again("after", "")
	}
	if next != "" {
		out.Next = v.Again("after", next)
	}
	return out
}

// failures are ways to fail, as a table on a page; fates what became of the slices of one of them.
type (
	failures struct {
		Page  page
		Run   string
		Items []document.FailureCount
	}
	fates struct {
		Page page
		Run  string
		document.FailureCount
	}
)

// lines are some of a log, as a table on a page.
type lines struct {
	Page    page
	Caption string
	news[document.LogRecord]
}

func newLines(v page, caption string, of news[document.LogRecord]) lines {
	return lines{v, caption, of}
}
