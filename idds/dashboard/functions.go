package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/message"
)

// none stands where a number is not known.
const none = "–"

// functions are what templates may call. static/format.js says the same to the script.
func functions() template.FuncMap {
	return template.FuncMap{
		"count": count, "seconds": seconds, "bytes": sizeOf, "percent": percent, "share": share,
		"clock": clock, "date": date, "iso": iso, "ago": ago, "took": took,
		"p50": func(q message.Quantiles) string { return quantile(q, q.P50) },
		"p95": func(q message.Quantiles) string { return quantile(q, q.P95) },
		"max": func(q message.Quantiles) string { return quantile(q, q.Max) },
		"add": func(numbers ...int) (sum int) {
			for _, n := range numbers {
				sum += n
			}
			return sum
		},
		"list":   func(items ...any) []any { return items },
		"things": things,
		"lastof": func(n int, list []message.BoardLatency) []message.BoardLatency {
			return list[max(0, len(list)-n):]
		},
	}
}

// count writes a number in groups of three: 1 234 567 is read from afar, 1234567 is not.
func count(number any) string {
	var n float64
	switch x := number.(type) {
	case int:
		n = float64(x)
	case *int:
		if x == nil {
			return none
		}
		n = float64(*x)
	case int64:
		n = float64(x)
	case float64:
		n = x
	}
	digits := strconv.FormatFloat(math.Abs(n), 'f', 0, 64)
	var b strings.Builder
	if n < 0 {
		b.WriteString("−")
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // thin, and no line ends there
		}
		b.WriteRune(d)
	}
	return b.String()
}

// seconds writes a duration in seconds: with three figures while it is short, in minutes and hours when it is long.
func seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return none
	case s < 0:
		return "−" + seconds(-s)
	case s < 0.0995:
		return fmt.Sprintf("%.0f ms", s*1000)
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 119.5:
		return fmt.Sprintf("%.0f s", s)
	}
	whole := int64(math.Round(s))
	switch h := whole / 3600; {
	case h >= 48:
		return fmt.Sprintf("%d d %d h", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%d h %02d min", h, whole/60%60)
	default:
		return fmt.Sprintf("%d min %02d s", whole/60, whole%60)
	}
}

func quantile(q message.Quantiles, value float64) string {
	if q.N == 0 {
		return none
	}
	return seconds(value)
}

// sizeOf writes a number of bytes.
func sizeOf(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	x, unit := float64(n)/1000, 0
	for ; x >= 999.5 && unit < len(units)-1; unit++ {
		x /= 1000
	}
	digits := 1
	if x >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(x, 'f', digits, 64) + " " + units[unit:unit+1] + "B"
}

// percent writes a share, from 0 to 1; nothing is known of it when it is nil.
func percent(x any) string {
	switch x := x.(type) {
	case *float64:
		if x != nil {
			return percent(*x)
		}
	case float64:
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			return strconv.FormatFloat(x*100, 'f', 0, 64) + " %"
		}
	}
	return none
}

// share is how much of the whole a part is, from 0 to 1.
func share(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// clock is a time of the day, in UTC as everything.
func clock(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("15:04:05")
}

// date is a time with its day.
func date(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// iso is a time for programs.
func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// ago is how long before now a time was.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return none
	}
	return seconds(max(0, now.Sub(t).Seconds()))
}

// took is how long it took from one time to another.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return none
	}
	return seconds(to.Sub(from).Seconds())
}
