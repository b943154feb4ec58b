package idds

import (
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/whereabouts"
)

// lostLooks is how often in the time of LostAfter what is outstanding is looked at.
const lostLooks = 20

// behindLimit is for how long, at most, results may not have been seen to be all taken.
const behindLimit = 5 * time.Second

// findLost gives up attempts that no live worker reports to hold, while workers of the run have been idle on a proven link.
// Age alone never does: a backlog is not a loss. Both have to last: a result may be under way when its worker is idle again.
func (s *Service) findLost(ctx context.Context) error {
	now := s.now().UTC()
	workers, err := s.Workers(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	if err := s.noteDowned(ctx, workers, now); err != nil {
		return err
	}
	seen := whereabouts.Attend(workers)
	if seen.Busy() || s.behind() {
		clear(s.absent)
		return nil
	}
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	absent := whereabouts.Absences{}
	for i := range runs {
		if err := s.findLostOf(ctx, &runs[i], seen, absent, now); err != nil {
			return err
		}
	}
	s.absent = absent
	return nil
}

// isBehind is whether results may be waiting for us: then a slice that nobody holds is not lost, its result is under way. Without
// this an idds whose disk stalls, or whose own link was away, would have work done twice. Within LostAfter the queue has to have
// been seen empty several times: what was waiting when the absence began has been taken then.
func (s *Service) isBehind() bool {
	return !s.link.State().Connected || s.results.Lasts(s.now(), min(behindLimit, s.cfg.LostAfter/4))
}

// findLostOf looks at one run and notes in absent what nobody holds.
func (s *Service) findLostOf(ctx context.Context, r *ledger.Run, seen whereabouts.Attendance, absent whereabouts.Absences, now time.Time) error {
	id := r.RunID.String()
	if _, idle := seen.Idle(id); !idle || r.Outstanding() == 0 {
		return nil
	}
	wait := s.cfg.LostAfter
	if r.Peers { // they report nothing: a slice may be theirs until they would have left
		wait = max(wait, s.cfg.PeerIdle)
	}
	for after := (ledger.Key{}); ; {
		page, err := s.store.Slices(ctx, ledger.Filter{Namespace: s.cfg.Namespace, Run: id, States: []ledger.SliceState{ledger.Outstanding}, After: after})
		if err != nil {
			return err
		}
		if err := s.giveUp(ctx, seen.Unheld(page, s.absent, absent, wait, now), now); err != nil {
			return err
		}
		if len(page) < ledger.PageSize {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// giveUp gives up attempts that nobody holds.
func (s *Service) giveUp(ctx context.Context, gone []whereabouts.Attempt, now time.Time) error {
	if len(gone) == 0 {
		return nil
	}
	for _, a := range gone {
		s.log.WarnContext(ctx, "slice held by nobody", slog.String(logging.KeySlice, a.Key.Identity), slog.Int(logging.KeyAttempt, a.Number))
	}
	return s.store.Update(ctx, func(tx ledger.Tx) error {
		for _, a := range gone {
			if err := s.ledger.Lost(tx, a.Key, a.Number, whereabouts.ReasonUnheld, now); err != nil {
				return err
			}
		}
		return nil
	})
}
