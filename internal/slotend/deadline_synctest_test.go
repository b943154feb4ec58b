package slotend_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/slotend"
)

// slot is one whose end the test sets.
type slot struct {
	end   slotend.End
	off   time.Duration // of our clock
	taken error
	// answers are what the batch system says when it is asked again.
	answers []func(s *slot) error
}

// endsIn is a slot that ends in a while.
func endsIn(d time.Duration) *slot {
	return &slot{end: slotend.End{At: time.Now().Add(d), Source: "the test", Cause: exitcode.Walltime}}
}

func (s *slot) Document() document.Slot {
	return document.Slot{EndsAt: s.end.At, EndsBy: s.end.Source}
}
func (s *slot) End() (slotend.End, bool)    { return s.end, s.end.Source != "" }
func (s *slot) Suspended(d time.Duration)   { s.end.At = s.end.At.Add(d) }
func (s *slot) ClockOff(d time.Duration)    { s.off = d }
func (s *slot) Taken(context.Context) error { return s.taken }
func (s *slot) Watch(_ context.Context, changed func(error)) {
	for _, answer := range s.answers {
		changed(answer(s))
	}
}

// deadline is that of a slot whose clock has been compared.
func deadline(s *slot, cfg slotend.Config) *slotend.Deadline {
	d := slotend.New(s, cfg, logging.Discard())
	d.Compare(time.Time{}, time.Now())
	return d
}

func TestASliceFitsAsLongAsThoseBeforeItTook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deadline(endsIn(10*time.Minute), slotend.Config{Reserve: time.Minute, SliceTime: 9 * time.Minute})
		fits := func(want bool, frames int64, before time.Duration) {
			t.Helper()
			if err := d.NoTime(frames, before); (err == nil) != want || err != nil && exitcode.From(err) != exitcode.Walltime {
				t.Errorf("a slice of %d frames after %s: %v", frames, before, err)
			}
		}
		fits(true, 0, 0) // by the configured time, exactly
		fits(false, 0, time.Nanosecond)
		if err := d.NoTime(0, time.Second); !strings.Contains(err.Error(), "ends in 9m59s (the test), less 1m0s to leave in; a slice takes 9m0s (--slice-time)") {
			t.Error(err)
		}
		d.Took(5*time.Second, 10) // from now on by those that there have been
		fits(true, 10, 535*time.Second)
		fits(false, 10, 536*time.Second)
		fits(true, 100, 490*time.Second) // takes longer in proportion
		fits(false, 100, 491*time.Second)
		fits(true, 1, 535*time.Second) // nothing is credited to a smaller one
		fits(false, 1, 536*time.Second)
		fits(true, 1<<62, 40*time.Second) // nor believed to one that claims more than any file has
		fits(false, 1<<62, 41*time.Second)
		for range 19 {
			d.Took(time.Second, 10)
		}
		d.Took(time.Hour, 10) // one of 21 takes longer: 95 of 100 do not
		fits(true, 10, 8*time.Minute)
		for range 3 {
			d.Took(time.Hour, 10)
		}
		fits(false, 10, 0)
		if err := d.NoTime(10, 0); !strings.Contains(err.Error(), "a slice takes 1h0m0s (95 of 100 take no longer)") {
			t.Error(err)
		}
		for range 64 {
			d.Took(time.Second, 10) // what was long ago does not count
		}
		fits(true, 10, 8*time.Minute)
	})
}

func TestASlotIsOverWhenOnlyTheReserveIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := endsIn(time.Minute)
		s.end.Cause = exitcode.Expiring
		d := deadline(s, slotend.Config{Reserve: 15 * time.Second})
		if err := d.Over(); err != nil {
			t.Errorf("before: %v", err)
		}
		d.Suspended(time.Minute) // it ends later by that
		time.Sleep(105 * time.Second)
		if err := d.Over(); err != nil {
			t.Errorf("with the reserve left: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := d.Over(); exitcode.From(err) != exitcode.Expiring || err.Error() != "the slot ends (the test)" {
			t.Errorf("got %v", err)
		}
	})
}

func TestNoEndIsReliedOnBeforeTheClockWasCompared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := endsIn(-time.Hour)
		d := slotend.New(s, slotend.Config{}, logging.Discard())
		if err := errors.Join(d.NoTime(0, 0), d.Over()); err != nil {
			t.Error(err)
		}
		sent := time.Now()
		time.Sleep(2 * time.Second) // there and back
		d.Compare(time.Now().Add(time.Hour), sent)
		if want := time.Hour + time.Second; s.off != want {
			t.Errorf("the clock is off by %s, want %s", s.off, want)
		}
		if d.NoTime(0, 0) == nil || d.Over() == nil {
			t.Error("a slice fits after the end")
		}
		d.Compare(time.Time{}, sent)
		if s.off == 0 {
			t.Error("no answer, and the clock is right again")
		}
	})
}

func TestWhereNothingIsKnownOfTheSlotItHasNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := slotend.New(nil, slotend.Config{Reserve: time.Hour, SliceTime: time.Hour}, logging.Discard())
		d.Compare(time.Now().Add(time.Hour), time.Now())
		d.Watch(t.Context(), func() { t.Error("told of an end") })
		d.Suspended(time.Hour)
		if err := errors.Join(d.NoTime(1000, time.Hour), d.Over()); err != nil || d.Document() != nil {
			t.Errorf("%v, %+v", err, d.Document())
		}
		if cause := d.Signalled(t.Context())(); exitcode.From(cause) != exitcode.Interrupted {
			t.Errorf("ended by a signal because %v", cause)
		}
	})
}

func TestTheEndOfTheSlotIsToldWhenItIsNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := endsIn(time.Hour)
		s.answers = []func(*slot) error{
			func(s *slot) error { s.end.At = s.end.At.Add(30 * time.Second); return nil }, // no news
			func(*slot) error { return errors.New("squeue does not answer") },
			func(s *slot) error { s.end.At = s.end.At.Add(time.Hour); return nil },
		}
		var log bytes.Buffer
		told := 0
		slotend.New(s, slotend.Config{}, slog.New(slog.NewTextHandler(&log, nil))).Watch(t.Context(), func() { told++ })
		if told != 2 || strings.Count(log.String(), "end of the slot") != 2 || strings.Count(log.String(), "squeue does not answer") != 1 {
			t.Errorf("told %d times:\n%s", told, &log)
		}
	})
}

func TestTheCauseOfASignalIsTheEndOfTheSlotOrWhatTheBatchSystemSays(t *testing.T) {
	t.Parallel()
	preempted, cancelled := exitcode.New(exitcode.Preempted, "preempted by another job"), exitcode.New(exitcode.Cancelled, "cancelled by somebody")
	for name, c := range map[string]struct {
		taken error
		left  time.Duration
		want  exitcode.Failure
	}{
		"it says why":                                 {preempted, time.Hour, exitcode.Preempted},
		"it says why, at the end of the slot":         {preempted, time.Minute, exitcode.Walltime},
		"somebody cancelled it at the end":            {cancelled, time.Minute, exitcode.Cancelled},
		"it does not say, at the end of the slot":     {nil, time.Minute, exitcode.Walltime},
		"it does not say, and the end is far off yet": {nil, time.Hour, exitcode.Interrupted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := endsIn(c.left)
				s.taken = c.taken
				ctx, signal := context.WithCancelCause(t.Context())
				terminated := errors.New("terminated")
				signal(terminated)
				err := deadline(s, slotend.Config{}).Signalled(ctx)()
				if exitcode.From(err) != c.want || !errors.Is(err, terminated) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
