package report_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/payload"
	"tfpilot/wrapper"
	"tfpilot/wrapper/report"
)

func TestWhatComesNextIsAsTheAccountingHasIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failure exitcode.Failure
		attempt int
		want    string
	}{
		{exitcode.OK, 1, "as done and takes the next"},
		{exitcode.PayloadFailed, 1, "as failed and takes the next slice; idds sends this one again, as attempt 2 of 3"},
		{exitcode.PayloadCrashed, 3, "stays failed, because it was attempt 3 of 3"},
		{exitcode.DataRange, 1, "stays failed, because it is not worth another attempt"},
		{exitcode.SiteNoSpace, 1, "gives the slice back uncounted, for another slot, and lets this one rest"},
		{exitcode.SlotMemory, 3, "gives the slice back uncounted"},
		{exitcode.Interrupted, 1, "gives the slice back uncounted, for another slot"},
	} {
		if got := report.Next(c.failure, c.attempt); !strings.Contains(got, c.want) {
			t.Errorf("%s, attempt %d: %s", c.failure.Name, c.attempt, got)
		}
	}
}

func TestTheTimeLineShowsWhereTheTimeWent(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	o := wrapper.Outcome{Started: start, Handed: at(100), Returned: at(950), Ended: at(1000)}
	o.Result.Usage = payload.Usage{Wall: 800 * time.Millisecond, User: 400 * time.Millisecond, PeakBytes: 80e6}
	for i, mb := range []int64{10, 40, 80} {
		o.Samples = append(o.Samples, keeper.Sample{At: at(300 + 200*i), Bytes: mb * 1e6, CPU: time.Duration(i) * 200 * time.Millisecond, Processes: 1})
	}
	r := report.New(message.Slice{}, payload.Startup{}, o)
	var b strings.Builder
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"wall 800ms, user 400ms, system 0s, 50 % of a core", "at most 80.0 MB",
		"prepare        100ms  █████▋\n", "payload        800ms       ████", "check           50ms ", "memory       80.0 MB       ▁", "cpu            100 %  ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	_, pictures, _ := strings.Cut(text, "time line")
	for line := range strings.Lines(pictures) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if len(r.Curve) != 3 || len(r.Timeline) != 4 || r.Timeline[1] != (report.Step{Name: "payload", StartSeconds: 0.1, Seconds: 0.8}) {
		t.Errorf("%+v %+v", r.Curve, r.Timeline)
	}
}
