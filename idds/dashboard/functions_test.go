package dashboard_test

import (
	"html/template"
	"math"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/dashboard"
	"tfpilot/internal/document"
)

func TestNumbersAndTimesAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 4, 5, 6, 0, time.UTC)
	half := 0.5
	for _, c := range []struct {
		text string
		data any
		want string
	}{
		{"{{count .}}", 0, "0"},
		{"{{count .}}", -1234567, "−1\u202f234\u202f567"},
		{"{{count .}}", int64(999), "999"},
		{"{{seconds .}}", 0.0123, "12 ms"},
		{"{{seconds .}}", 9.94, "9.9 s"},
		{"{{seconds .}}", 9.96, "10 s"},
		{"{{seconds .}}", 119.6, "2 min 00 s"},
		{"{{seconds .}}", 3600.0, "1 h 00 min"},
		{"{{seconds .}}", 200000.0, "2 d 7 h"},
		{"{{seconds .}}", math.NaN(), "–"},
		{"{{bytes .}}", int64(999), "999 B"},
		{"{{bytes .}}", int64(1_500_000), "1.5 MB"},
		{"{{bytes .}}", int64(999_600), "1.0 MB"},
		{"{{bytes .}}", int64(123_456_789), "123 MB"},
		{"{{percent .}}", &half, "50 %"},
		{"{{percent .}}", (*float64)(nil), "–"},
		{"{{percent .}}", math.Inf(1), "–"},
		{"{{p95 .}}", document.Quantiles{}, "–"},
		{"{{p95 .}}", document.Quantiles{N: 1, P95: 3}, "3.0 s"},
		{"{{clock .}}", at, "04:05:06"},
		{"{{date .}}", at, "2026-11-26 04:05:06"},
		{"{{iso .}}", time.Time{}, ""},
	} {
		var b strings.Builder
		if err := template.Must(template.New("").Funcs(dashboard.Functions()).Parse(c.text)).Execute(&b, c.data); err != nil || b.String() != c.want {
			t.Errorf("%s of %v: %q, %v; want %q", c.text, c.data, b.String(), err, c.want)
		}
	}
}
