package idds

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"tfpilot/internal/message"
)

// clock is the time by which idds decides what is due and who is late. It goes on steadily whatever is done to the machine's
// clock meanwhile, and it never begins before what the store has seen: after a restart with a clock that was set back, a slice
// that waits two seconds for its next attempt would otherwise wait for as long as the clock went back.
type clock struct {
	wall  time.Time // when it was made, as the machine said
	began time.Time // the same by the clock that nobody can set
	ahead atomic.Int64
}

func newClock(now func() time.Time) *clock { return &clock{wall: now(), began: time.Now()} }

func (c *clock) now() time.Time {
	return c.wall.Add(time.Since(c.began) + time.Duration(c.ahead.Load()))
}

// notBefore puts it forward to a time that has been already.
func (c *clock) notBefore(t time.Time) {
	if d := t.Sub(c.now()); d > 0 {
		c.ahead.Add(int64(d))
	}
}

// aheadOf is how far it is ahead of what the machine's clock says now: that was set since, or the machine was asleep.
func (c *clock) aheadOf(machine time.Time) time.Duration {
	return c.now().Round(0).Sub(machine.Round(0))
}

// resume puts the clock to no earlier than the last report of a worker or the last change of a run.
func (s *Service) resume(ctx context.Context) error {
	workers, err := s.store.Workers(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for _, w := range workers {
		s.clock.notBefore(w.LastSeen)
	}
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for _, r := range runs {
		for _, t := range []time.Time{r.OpenedAt, r.LastSliceAt, r.EndedAt} {
			s.clock.notBefore(t)
		}
	}
	if ahead := s.clock.aheadOf(s.cfg.Now()); ahead > message.MostAhead { // what it says stands in documents and messages
		s.log.WarnContext(ctx, "the store has seen later times than the machine's clock says; times go on from there", slog.Duration("ahead", ahead))
	}
	s.started = s.now()
	return nil
}

// runTimeoutAfter is the time that a run has after something: its end. What passed while idds was away does not count: nobody took its
// results, and nobody knows whether it passed.
func (s *Service) runTimeoutAfter(at time.Time) time.Duration {
	return s.cfg.RunTimeout + max(0, s.started.Sub(at))
}
