package idds

import (
	"context"
	"log/slog"
	"math"
	"time"

	"tfpilot/internal/logging"
	"tfpilot/internal/message"
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
		if err := work(ctx); err != nil {
			return err
		}
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
		if r.State != message.RunEnding {
			continue
		}
		id := r.RunID.String()
		now := s.now().UTC()
		var left []Key
		timeout := s.runTimeout(r)
		if now.Sub(r.EndedAt) > timeout {
			if left, err = s.left(ctx, id); err != nil {
				return err
			}
		}
		if err := s.store.Update(ctx, func(tx Tx) (err error) {
			r, err = s.ledger.Close(tx, s.cfg.Namespace, id, left, s.cfg.QuietEnd, timeout, now)
			return err
		}); err != nil {
			return err
		}
		if r.State == message.RunClosed {
			s.log.InfoContext(ctx, "run closed", slog.String(logging.KeyRun, id), slog.Int("done", r.Done), slog.Int("failed", r.Failed))
		}
	}
	return nil
}

// left are the slices of a run that are not final.
func (s *Service) left(ctx context.Context, run string) ([]Key, error) {
	list, err := s.store.Slices(ctx, Filter{
		Namespace: s.cfg.Namespace, Run: run, States: []SliceState{Outstanding, Waiting}, Limit: math.MaxInt32,
	})
	keys := make([]Key, len(list))
	for i := range list {
		keys[i] = list[i].Key
	}
	return keys, err
}
