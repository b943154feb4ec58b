package idds_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
)

// off is a clock that is off.
func off(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }

func TestAClockThatWasSetBetweenTwoStartsChangesNothingThatIsDue(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{Now: off(time.Hour)})
	w := r.workers()
	r.send("a")
	r.answer(next(t, w), crashed)
	r.await("the failure", func(c document.RunCheck) bool {
		list, err := r.store.Slices(soon(t), ledger.Filter{Run: run, States: []ledger.SliceState{ledger.Waiting}})
		must(t, err)
		return len(list) == 1 && c.State == document.RunOpen // a result may overtake its slice
	})
	r.kill()
	r.cfg.Now = off(0)
	r.start()
	again := next(t, w) // after two seconds, not an hour and two seconds
	r.end(1)
	r.await("the end", func(c document.RunCheck) bool { return c.State == document.RunEnding })
	r.kill()
	r.cfg.Now = off(3 * time.Hour)
	r.start()
	must(t, r.service.CloseRuns(soon(t)))
	r.answer(again, nil)
	if got := r.await("the close", closed); got.Slices.Done != 1 || got.Slices.Corrected != 0 {
		t.Errorf("the run's time was taken for over: %+v", got.Slices)
	}
}

func TestAClockThatIsSetWhileTheServiceRunsChangesNoTimeAndIsSaid(t *testing.T) {
	t.Parallel()
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	var by atomic.Int64
	s, err := idds.New(newBook(t).store, link, logging.Discard(), idds.Config{Namespace: namespace, Now: func() time.Time { return time.Now().Round(0).Add(time.Duration(by.Load())) }})
	must(t, err)
	for _, c := range []struct {
		set time.Duration
		say string
	}{
		{0, ""}, {30 * time.Second, ""}, {time.Hour, "1h0m0s ahead of"}, {-24 * time.Hour, "24h0m0s behind"}, {0, ""},
	} {
		by.Store(int64(c.set))
		parts := s.Health(t.Context()).Parts
		part := parts[slices.IndexFunc(parts, func(p document.HealthPart) bool { return p.Name == "clock" })]
		if part.OK != (c.say == "") || !strings.Contains(part.Details, c.say) {
			t.Errorf("set by %s: %+v", c.set, part)
		}
		if off := time.Since(s.Now()); off.Abs() > time.Minute {
			t.Errorf("set by %s: time is off by %s", c.set, off)
		}
	}
}

func TestAClockFarAheadOfTheMachinesIsTold(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.now = time.Now()
	b.do(b.sent(1))
	for name, c := range map[string]struct {
		machine time.Duration
		want    int
	}{"ASecond": {-time.Second, 0}, "AnHour": {-time.Hour, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
			must(t, err)
			var log bytes.Buffer
			s, err := idds.New(b.store, link, slog.New(slog.NewTextHandler(&log, nil)), idds.Config{Namespace: namespace, Now: off(c.machine)})
			must(t, err)
			must(t, s.Resume(t.Context()))
			if got := strings.Count(log.String(), "later times than the machine's clock"); got != c.want {
				t.Errorf("said %d times, want %d: %s", got, c.want, log.String())
			}
		})
	}
}
