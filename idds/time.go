package idds

import (
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
)

// every does one kind of work at every tick, until ctx ends. Each kind has its own: what waits for a broker that is away must
// not hold up the rest.
func (s *Service) every(ctx context.Context, tick time.Duration, work func(context.Context) error) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if err := s.watch.Outlast(ctx, work); err != nil {
			return err
		}
	}
}

// sparingly lets work rest after it was done, for nine times as long as it took. What was not done does not rest: whoever tries it
// again would take the rest for a success.
func sparingly(work func(context.Context) error) func(context.Context) error {
	var rested time.Time
	return func(ctx context.Context) error {
		began := time.Now()
		if began.Before(rested) {
			return nil
		}
		if err := work(ctx); err != nil {
			return err
		}
		rested = time.Now().Add(9 * time.Since(began))
		return nil
	}
}

// closeRuns closes what is complete, or out of time.
func (s *Service) closeRuns(ctx context.Context) error {
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		if r.State != document.RunEnding {
			continue
		}
		if r, err = s.closeRun(ctx, r); err != nil {
			return err
		}
		if r.State == document.RunClosed {
			if err := s.keepLatency(ctx, r); err != nil {
				return err
			}
			s.log.InfoContext(ctx, "run closed", slog.String(logging.KeyRun, r.RunID.String()), slog.Int("done", r.Done), slog.Int("failed", r.Failed))
		}
	}
	return nil
}

// measureRuns looks at the runs that have changed, so that nobody who asks has to wait for it.
func (s *Service) measureRuns(ctx context.Context) error {
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		if r.Latency == nil && s.measured.Changed(r) {
			if _, err := s.measured.Measure(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookBackAt is how many runs are looked at in one go of those for which there is nothing to be done: there may be any number.
const lookBackAt = 200

// lookBack looks at some of the runs that are over or that nobody has announced, and the next time at those behind them.
func (s *Service) lookBack(ctx context.Context) error {
	f := ledger.RunFilter{
		Namespace: s.cfg.Namespace, AfterNamespace: s.cfg.Namespace, AfterRun: s.lookedAt, Limit: lookBackAt,
		States: []document.RunState{document.RunClosed, document.RunUnannounced},
	}
	runs, err := s.store.FindRuns(ctx, f)
	if err != nil {
		return err
	}
	now := s.now().UTC()
	var stale []ledger.Run
	for i := range runs {
		r := &runs[i]
		switch {
		case r.Stale(s.runTimeoutAfter(r.HeardAt), now):
			stale = append(stale, *r)
		case r.State == document.RunClosed && r.Latency == nil: // closed by an idds that ended then, or something came to it since
			if err := s.keepLatency(ctx, r); err != nil {
				return err
			}
		}
	}
	if err := s.expire(ctx, stale, now); err != nil {
		return err
	}
	if s.lookedAt = ""; len(runs) == lookBackAt {
		s.lookedAt = ledger.Text(runs[len(runs)-1].RunID.String())
	}
	return nil
}

// expire ends what is left of runs that nobody has announced in the time of a run.
func (s *Service) expire(ctx context.Context, stale []ledger.Run, now time.Time) error {
	if len(stale) == 0 {
		return nil
	}
	left := make([][]ledger.Key, len(stale))
	for i := range stale {
		if stale[i].Published > 0 {
			var err error
			if left[i], err = s.left(ctx, stale[i].RunID.String()); err != nil {
				return err
			}
		}
	}
	if err := s.store.Update(ctx, func(tx ledger.Tx) error {
		for i := range stale {
			r := &stale[i]
			if err := s.ledger.Expire(tx, r.Namespace, r.RunID.String(), left[i], s.runTimeoutAfter(r.HeardAt), now); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	s.log.WarnContext(ctx, "results came for runs that nobody has announced: nobody waits for these any more", slog.Int("runs", len(stale)),
		slog.String("one", stale[0].RunID.String()))
	return nil
}

// keepLatency writes what a run has taken into a run that is closed.
func (s *Service) keepLatency(ctx context.Context, r *ledger.Run) error {
	latency, err := s.measured.Measure(ctx, r)
	if err != nil {
		return err
	}
	s.measured.Forget(r)
	return s.store.Update(ctx, func(tx ledger.Tx) error { return s.ledger.Measured(tx, r, latency) })
}

// closeRun closes a run if it can. What is left when its time is over fails in pages: nothing else waits long for the store.
func (s *Service) closeRun(ctx context.Context, r *ledger.Run) (closed *ledger.Run, err error) {
	id, now, timeout := r.RunID.String(), s.now().UTC(), s.runTimeoutAfter(r.EndedAt)
	for {
		var left []ledger.Key
		if now.Sub(r.EndedAt) > timeout {
			if left, err = s.left(ctx, id); err != nil {
				return nil, err
			}
		}
		if err := s.store.Update(ctx, func(tx ledger.Tx) (err error) {
			closed, err = s.ledger.Close(tx, s.cfg.Namespace, id, left, s.cfg.QuietEnd, timeout, now)
			return err
		}); err != nil || len(left) < ledger.PageSize {
			return closed, err
		}
	}
}

// left are slices of a run that are not final, a page of them.
func (s *Service) left(ctx context.Context, run string) ([]ledger.Key, error) {
	list, err := s.store.Slices(ctx, ledger.Filter{Namespace: s.cfg.Namespace, Run: run, States: []ledger.SliceState{ledger.Outstanding, ledger.Waiting}, Limit: ledger.PageSize})
	keys := make([]ledger.Key, len(list))
	for i := range list {
		keys[i] = list[i].Key
	}
	return keys, err
}
