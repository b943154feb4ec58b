package heartbeat_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/logging"
)

// idds hears reports of a pilot.
type idds struct {
	began time.Time

	mu      sync.Mutex // the race detector knows nothing of the order that fake time makes
	now     document.WorkerReport
	err     error
	at      []time.Duration // of reports, since it began
	answers []heartbeat.Answer
}

func (i *idds) Report(context.Context, document.WorkerReport) (document.WorkerReply, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.at = append(i.at, time.Since(i.began))
	return document.WorkerReply{RunState: document.RunOpen}, i.err
}

func (i *idds) answered(a heartbeat.Answer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers = append(i.answers, a)
}

func (i *idds) report() document.WorkerReport {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

// set changes the pilot, or idds.
func (i *idds) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// heard is when there were reports, and what came of them.
func (i *idds) heard() ([]time.Duration, []heartbeat.Answer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.at, i.answers
}

// beat has a pilot report until the test ends.
func beat(t *testing.T, every time.Duration, log *slog.Logger) (*heartbeat.Heart, *idds) {
	t.Helper()
	to := &idds{began: time.Now(), now: document.WorkerReport{RunID: "7"}}
	h := heartbeat.New(to, every, log)
	ctx, cancel := context.WithCancel(t.Context())
	go h.Beat(ctx, to.report, to.answered)
	t.Cleanup(func() {
		cancel()
		synctest.Wait()
	})
	synctest.Wait()
	return h, to
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAPilotReportsAtOnceThenWithEveryBeatAndWhenItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, to := beat(t, 10*time.Second, logging.Discard())
		after(25 * time.Second)
		h.Soon()
		synctest.Wait()
		at, answers := to.heard()
		if want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 25 * time.Second}; !slices.Equal(at, want) || len(answers) != len(want) {
			t.Fatalf("reports at %v, want %v; %d answers", at, want, len(answers))
		}
		if a := answers[0]; a.Run != "7" || !a.Sent.Equal(to.began) || a.Err != nil || a.Reply.RunState != document.RunOpen {
			t.Errorf("answer %+v", a)
		}
	})
}

func TestIDDSHearsOfAChangeWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, to := beat(t, time.Hour, logging.Discard())
		for i, c := range []struct {
			what   string
			change func()
		}{
			{"the phase", func() { to.now.Phase = document.WorkerRunning }},
			{"the run", func() { to.now.RunID = "8" }},
			{"the link", func() { to.now.LinkProven = true }},
			{"the hold", func() { to.now.Hold = "the node is not fit" }},
			{"a slice in hand", func() { to.now.InHand = make([]document.SliceInHand, 1) }},
			{"its end", func() { to.now.InHand = nil }},
			{"the totals of an idle pilot", func() { to.now.Totals.Done++ }},
		} {
			to.set(c.change)
			after(time.Second)
			if at, _ := to.heard(); len(at) != i+2 {
				t.Fatalf("%s: reports at %v, want %d", c.what, at, i+2)
			}
		}
	})
}

func TestAPilotAtWorkDoesNotReportEverySlice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, to := beat(t, time.Hour, logging.Discard())
		to.set(func() { to.now.InHand = make([]document.SliceInHand, 2) })
		after(time.Second)
		for n := range 100 {
			to.set(func() {
				to.now.Totals.Done++
				to.now.InHand = []document.SliceInHand{{Attempt: n}, {}}
			})
			after(100 * time.Millisecond)
		}
		if at, _ := to.heard(); len(at) != 2 { // at first, and when there was something in hand
			t.Errorf("reports at %v", at)
		}
	})
}

func TestAnIDDSThatIsAwayIsSaidOnceAndSoIsItsReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("connection refused")
		var log bytes.Buffer
		_, to := beat(t, 10*time.Second, slog.New(slog.NewTextHandler(&log, nil)))
		for range 2 {
			to.set(func() { to.err = away })
			after(time.Minute)
			to.set(func() { to.err = nil })
			after(time.Minute)
		}
		for _, said := range []string{"idds does not answer", "idds answers again"} {
			if n := strings.Count(log.String(), said); n != 2 {
				t.Errorf("%q is in the log %d times, want 2:\n%s", said, n, &log)
			}
		}
		_, answers := to.heard()
		if a := answers[1]; !errors.Is(a.Err, away) || a.Reply.RunState != "" {
			t.Errorf("answer %+v", a)
		}
	})
}

func TestTheLastWordIsSaidAlsoWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	said := make(words, 1)
	heartbeat.New(said, time.Second, logging.Discard()).Last(ctx, document.WorkerReport{PilotID: "p"})
	heartbeat.New(nil, time.Second, logging.Discard()).Last(ctx, document.WorkerReport{}) // to nobody
	if len(said) != 1 {
		t.Error("it was not said, or too late")
	}
}

// words are the reports that came in time.
type words chan document.WorkerReport

func (w words) Report(ctx context.Context, r document.WorkerReport) (document.WorkerReply, error) {
	if ctx.Err() == nil {
		w <- r
	}
	return document.WorkerReply{}, ctx.Err()
}

func TestTheLastWordSaysWhyAndWhatCameOfTheSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := document.WorkerReport{StartedAt: time.Now().Add(-110 * time.Second), Slot: &document.Slot{Cores: 2}}
		w.Totals.SuspendedSeconds, w.Totals.CPUSeconds = 10, 50
		e := heartbeat.LastWord(exitcode.New(exitcode.Walltime, "the slot ends"), w)
		if e.Code != exitcode.Walltime.Code || e.Name != exitcode.Walltime.Name || e.Cause != "the slot ends" || e.WallSeconds != 100 || e.Efficiency == nil || *e.Efficiency != 0.25 {
			t.Errorf("%+v, efficiency %v", e, e.Efficiency)
		}
		if e := heartbeat.LastWord(nil, document.WorkerReport{StartedAt: time.Now()}); e.Code != 0 || e.Cause != "" || e.Efficiency != nil {
			t.Errorf("of a normal end: %+v", e)
		}
	})
}
