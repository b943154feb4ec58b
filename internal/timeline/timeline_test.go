package timeline_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/timeline"
)

var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// history is a slice that failed once, was lost once, and is in a worker's hand now.
func history() *document.SliceHistory {
	h := &document.SliceHistory{Slice: document.Slice{Identity: "a", State: "outstanding", CreatedAt: at(1), Attempts: []document.Attempt{
		{Attempt: 1, State: "failed", CreatedAt: at(1), ReceivedAt: at(11), StartedAt: at(12), ProcessedAt: at(18), PublishedAt: at(19), FinishedAt: at(20)},
		{Attempt: 2, State: "lost", CreatedAt: at(30), FinishedAt: at(60), LostAt: at(60), Reason: "why"},
		{Attempt: 3, State: "sent", CreatedAt: at(70)},
	}}, STFCreatedAt: at(0)}
	h.Events = []document.SliceEvent{
		{At: at(1), What: "created"}, {At: at(60), What: "lost", Attempt: 2}, {At: at(65), What: "absorbed", Attempt: 1}, {At: at(80), What: "received", Attempt: 3}, {At: at(90), What: "started", Attempt: 3},
	}
	return h
}

func TestASliceHasALaneForEachAttemptAndItsStepsFollowEachOther(t *testing.T) {
	t.Parallel()
	p := timeline.OfSlice(history(), at(100))
	var told []string
	for _, l := range p.Lanes {
		text := l.Label
		for _, b := range l.Bars {
			text += fmt.Sprintf(" %s %.0f-%.0f", b.Kind, b.From.Sub(begin).Seconds(), b.To.Sub(begin).Seconds())
			if b.Open {
				text += "..."
			}
		}
		for _, m := range l.Marks {
			text += fmt.Sprintf(" <%s %.0f>", m.Kind, m.At.Sub(begin).Seconds())
		}
		told = append(told, text)
	}
	want := []string{
		"slice queue 0-1 retry 20-30 retry 60-70 <created 1>", "attempt 1: failed queue 1-11 hand 11-12 run 12-18 publish 18-19 count 19-20 <absorbed 65>",
		"attempt 2: lost lost 30-60 <lost 60>", "attempt 3: sent queue 70-80 hand 80-90 run 90-100...",
	}
	if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
		t.Error(got)
	}
	if !p.From.Equal(at(0)) || !p.To.Equal(at(100)) || p.Skew != 0 {
		t.Errorf("from %s to %s, %s apart", p.From, p.To, p.Skew)
	}
}

func TestEverythingIsWithinThePictureAndNothingTooSmallToBeSeen(t *testing.T) {
	t.Parallel()
	h := history()
	h.Attempts[0].ProcessedAt = h.Attempts[0].StartedAt.Add(time.Nanosecond)
	h.Attempts[0].PublishedAt = at(15) // by a clock that is 4 s behind
	h.Attempts[0].ProcessedAt = at(19)
	p := timeline.OfSlice(h, at(100))
	if p.Skew != 4*time.Second {
		t.Errorf("the clocks are said to be %s apart", p.Skew)
	}
	for _, l := range p.Lanes {
		for _, b := range l.Bars {
			if b.X < float64(p.Left()) || b.Width < 1 || b.X+b.Width > float64(p.Right())+2 {
				t.Errorf("%s: %+v", l.Label, b)
			}
		}
		if l.Y < 0 || l.Y >= p.Height {
			t.Errorf("%s is at %v of %v", l.Label, l.Y, p.Height)
		}
	}
	if p.Short("short") != "short" || len([]rune(p.Short(strings.Repeat("é", 100)))) != 27 {
		t.Error(p.Short(strings.Repeat("é", 100)))
	}
}

func TestTheAxisHasRoundTimesHoweverLongItIs(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{
		0.007: "0 +1 ms +2 ms +3 ms +4 ms +5 ms +6 ms +7 ms", 10: "0 +2 s +4 s +6 s +8 s +10 s", 3600: "0 +10 min +20 min +30 min +40 min +50 min +1 h", 5400: "0 +20 min +40 min +1 h +1 h 20 min",
		30 * 86400: "0 +5 d +10 d +15 d +20 d +25 d +30 d",
	} {
		end := begin.Add(time.Duration(seconds * float64(time.Second)))
		p := timeline.OfRun(document.Run{OpenedAt: begin, EndedAt: end, ClosedAt: end}, end)
		var got []string
		for _, tick := range p.Ticks {
			got = append(got, tick.Label)
			const letter = 7 // wide, of the type that the page has there
			if half := float64(len(tick.Label)) * letter / 2; tick.X+half > float64(p.Width()) {
				t.Errorf("%v s: the label %q is cut off at %v", seconds, tick.Label, tick.X)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v s: %q", seconds, got)
		}
	}
	if p := timeline.OfRun(document.Run{OpenedAt: begin}, begin); len(p.Ticks) != 1 || len(p.Lanes) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestARunHasTheDetectorsStatesAboveItsOwn(t *testing.T) {
	t.Parallel()
	doc := document.Run{RunID: "1", State: document.RunClosed, OpenedAt: at(5), EndedAt: at(50), ClosedAt: at(60), Detector: &document.Detector{
		State: "ready", Changes: []document.DetectorChange{{At: at(0), State: "imminent"}, {At: at(10), State: "run", Substate: "physics"}, {At: at(70), State: "ready"}},
	}}
	p := timeline.OfRun(doc, at(1000))
	var told []string
	for _, l := range p.Lanes {
		for _, b := range l.Bars {
			told = append(told, fmt.Sprintf("%s %.0f-%.0f", b.Text, b.From.Sub(begin).Seconds(), b.To.Sub(begin).Seconds()))
		}
	}
	if got := strings.Join(told, ", "); got != "imminent 0-10, run physics 10-70, ready 70-70, open 5-50, ending: what is left is waited for 50-60" {
		t.Error(got)
	}
}
