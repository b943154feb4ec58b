// Package words writes numbers and times for people: alike on every page, short, and read from afar. static/format.js of the page says the
// same to its script.
package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// None stands where a number is not known.
const None = "–"

// Count writes a number, or a pointer to one that may be nil, in groups of three: 1 234 567 is read from afar, 1234567 is not.
func Count(number any) string {
	var n float64
	switch x := number.(type) {
	case int:
		n = float64(x)
	case *int:
		if x == nil {
			return None
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

// Counted is a number with its noun: 1 pilot, 2 pilots.
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Seconds writes a duration in seconds: with three figures while it is short, in minutes and hours when it is long.
func Seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return None
	case s < 0:
		return "−" + Seconds(-s)
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

// Bytes writes a number of bytes.
func Bytes(n int64) string {
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

// Percent writes a share, from 0 to 1; nothing is known of it when it is nil.
func Percent(x any) string {
	switch x := x.(type) {
	case *float64:
		if x != nil {
			return Percent(*x)
		}
	case float64:
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			return strconv.FormatFloat(x*100, 'f', 0, 64) + " %"
		}
	}
	return None
}

// Clock is a time of the day, in UTC as everything.
func Clock(t time.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format("15:04:05")
}

// Date is a time with its day.
func Date(t time.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// ISO is a time for programs.
func ISO(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Ago is how long before now a time was.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return None
	}
	return Seconds(max(0, now.Sub(t).Seconds()))
}

// Took is how long it took from one time to another.
func Took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return None
	}
	return Seconds(to.Sub(from).Seconds())
}

// After is how long after another a moment was: steps of one machine are milliseconds apart.
func After(first, at time.Time) string {
	if first.IsZero() || at.IsZero() {
		return None
	}
	switch d := at.Sub(first); {
	case d < 0:
		return Took(at, first) + " before"
	case d < 100*time.Second:
		return fmt.Sprintf("+%.3f s", d.Seconds())
	default:
		return "+" + Seconds(d.Seconds())
	}
}

// Instant is a time of the day with milliseconds.
func Instant(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// Moment is a time with its day and milliseconds.
func Moment(t time.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}
