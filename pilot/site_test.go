package pilot_test

import (
	"context"
	"os"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

func TestAFaultOfTheSiteGivesTheSliceBackUncountedUntilTheThirdTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 1))
	w := &runner{do: func(context.Context, message.Slice) error { return exitcode.New(exitcode.SiteNoSpace, "disk full") }}
	r.pilot(pilot.Config{Run: run, SiteHold: time.Millisecond, MaxReleases: 3}, w, nil)
	m := r.next()
	if m.Content.Failure == nil || m.Content.Failure.Name != "site_no_space" || !m.Content.Failure.Retryable {
		t.Errorf("%+v", m.Content)
	}
	if n := w.count("a"); n < 3 {
		t.Errorf("tried %d times, want 3 or more", n)
	}
	await(t, "the acknowledgement", func() bool { return r.queue().Acked == 1 })
}

func TestAFaultOfTheSiteThatIsSoonOverCostsTheSliceNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(slice("a", 1))
	w := &runner{}
	w.do = func(context.Context, message.Slice) error {
		if w.count("a") < 3 {
			return exitcode.New(exitcode.SiteNoSpace, "disk full")
		}
		return nil
	}
	// More failures than may be counted, all of them within the time in which they count once.
	r.pilot(pilot.Config{Run: run, SiteHold: 4 * time.Second, MaxReleases: 2}, w, nil)
	if m := r.next(); m.Content.State != message.StateDone {
		t.Errorf("%+v", m.Content)
	}
}

func TestAJournalThatCannotBeWrittenIsAFaultOfTheSite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := &runner{}
	p := r.pilot(pilot.Config{Run: run, SiteHold: 100 * time.Millisecond, MaxReleases: 1000}, w, nil)
	must(t, os.RemoveAll(r.journal))
	must(t, os.WriteFile(r.journal, nil, 0o600)) // in its place
	r.publish(slice("a", 1))
	await(t, "the slice back in the queue", func() bool { q := r.queue(); return q.Depth == 1 && q.Consumers == 0 })
	must(t, os.Remove(r.journal))
	if m := r.next(); m.Content.State != message.StateDone || w.count("a") != 1 {
		t.Errorf("%+v, ran %d times", m.Content, w.count("a"))
	}
	select {
	case <-p.done:
		t.Errorf("it left: %v", p.err)
	default:
	}
}

func TestAResultNamesThePayloadAlsoWhenItWasNotRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := &runner{}
	r.pilot(pilot.Config{Run: run, MaxReleases: 1}, w, nil)
	must(t, os.RemoveAll(r.journal))
	must(t, os.WriteFile(r.journal, nil, 0o600)) // in its place
	r.publish(slice("a", 1))
	m := r.next()
	if p := m.Content.Payload; m.Content.Failure == nil || m.Content.Failure.Name != "store_failed" || p == nil || *p != w.Identity() {
		t.Errorf("%+v, made by %+v", m.Content.Failure, p)
	}
}

// The result is worth more than the certainty that it is the only one.
func TestAResultIsSentWithoutAJournalRatherThanNever(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := &runner{do: func(context.Context, message.Slice) error {
		_ = os.RemoveAll(r.journal)
		return os.WriteFile(r.journal, nil, 0o600)
	}}
	r.publish(slice("a", 1))
	r.pilot(pilot.Config{Run: run, MaxReleases: 1}, w, nil)
	if m := r.next(); m.Content.State != message.StateDone {
		t.Errorf("%+v", m.Content)
	}
	await(t, "the acknowledgement", func() bool { return r.queue().Acked == 1 })
}

func TestASlotThatRestsIsNotIdle(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), &reporter{}
	r.publish(slice("a", 1))
	w := &runner{do: func(context.Context, message.Slice) error { return exitcode.New(exitcode.SiteNoSpace, "disk full") }}
	p := r.pilot(pilot.Config{Run: run, SiteHold: time.Hour, IdleTimeout: 50 * time.Millisecond}, w, idds)
	await(t, "the slice back in the queue", func() bool { q := r.queue(); return w.count("a") == 1 && q.Depth == 1 && q.Consumers == 0 })
	before := idds.count()
	await(t, "reports of the time after", func() bool { return idds.count() > before+10 })
	if w := idds.last(); !w.IdleSince.IsZero() || w.Totals.Released != 1 {
		t.Errorf("idds hears that it could take slices: %+v", w)
	}
	select {
	case <-p.done:
		t.Errorf("it left: %v", p.err)
	default:
	}
}
