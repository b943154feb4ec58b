package idds

import (
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// lostLooks is how often in the time of LostAfter what is outstanding is looked at.
const lostLooks = 20

// behindLimit is for how long, at most, results may not have been seen to be all taken.
const behindLimit = 5 * time.Second

// attemptKey names one attempt.
type attemptKey struct {
	run, identity string
	attempt       int
}

// absences remembers since when nobody reports to hold an attempt. It is not stored: after a restart every attempt is given
// its whole time again, because the workers have not reported yet.
type absences map[attemptKey]time.Time

// attendance is what the living workers say.
type attendance struct {
	held map[attemptKey]bool
	// idle is for how long some worker of a run has been idle on a proven link; the run "" stands for workers that take
	// slices of any run.
	idle map[string]time.Duration
}

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
	seen := attend(workers)
	if len(seen.idle) == 0 || s.behind() {
		clear(s.absent)
		return nil
	}
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	absent := absences{}
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
	return !s.link.State().Connected || s.results.lasts(s.now(), min(behindLimit, s.cfg.LostAfter/4))
}

// findLostOf looks at one run and notes in absent what nobody holds.
func (s *Service) findLostOf(ctx context.Context, r *ledger.Run, seen attendance, absent absences, now time.Time) error {
	id := r.RunID.String()
	idle, ok := seen.idle[id]
	anyRun, unbound := seen.idle[""]
	if !ok && !unbound || r.Outstanding() == 0 {
		return nil
	}
	wait := s.cfg.LostAfter
	if r.Peers { // they report nothing: a slice may be theirs until they would have left
		wait = max(wait, s.cfg.PeerIdle)
	}
	idle = max(idle, anyRun)
	for after := (ledger.Key{}); ; {
		page, err := s.store.Slices(ctx, ledger.Filter{Namespace: s.cfg.Namespace, Run: id, States: []ledger.SliceState{ledger.Outstanding}, After: after})
		if err != nil {
			return err
		}
		if err := s.giveUp(ctx, s.unheld(page, seen, absent, idle, wait, now), now); err != nil {
			return err
		}
		if len(page) < ledger.PageSize {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// unheld are the attempts that nobody has held for long enough; it notes in absent those that nobody holds.
func (s *Service) unheld(page []ledger.Slice, seen attendance, absent absences, idle, wait time.Duration, now time.Time) (gone []attempt) {
	for i := range page {
		sl := &page[i]
		for _, a := range sl.Attempts {
			k := attemptKey{sl.Key.Run, sl.Key.Identity, a.Attempt}
			if a.State != "sent" || seen.held[k] || a.Attempt == sl.Unsent {
				continue
			}
			since, ok := s.absent[k]
			if !ok {
				since = now
			}
			absent[k] = since
			if idle >= wait && now.Sub(since) >= wait {
				gone = append(gone, attempt{sl.Key, a.Attempt})
			}
		}
	}
	return gone
}

// attempt is one of a slice.
type attempt struct {
	key    ledger.Key
	number int
}

// giveUp gives up attempts that nobody holds.
func (s *Service) giveUp(ctx context.Context, gone []attempt, now time.Time) error {
	if len(gone) == 0 {
		return nil
	}
	for _, a := range gone {
		s.log.WarnContext(ctx, "slice held by nobody", slog.String(logging.KeySlice, a.key.Identity), slog.Int(logging.KeyAttempt, a.number))
	}
	return s.store.Update(ctx, func(tx ledger.Tx) error {
		for _, a := range gone {
			if err := s.ledger.Lost(tx, a.key, a.number, reasonUnheld, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// attend gathers what the living workers report. Idle times are of each worker's own clock: clocks differ.
func attend(workers []message.WorkerDocument) attendance {
	out := attendance{held: map[attemptKey]bool{}, idle: map[string]time.Duration{}}
	for _, w := range workers {
		if !w.Alive {
			continue
		}
		for _, h := range w.InHand {
			out.held[attemptKey{h.RunID, h.Identity, max(1, h.Attempt)}] = true
		}
		if w.LinkProven && !w.IdleSince.IsZero() && len(w.InHand) == 0 {
			out.idle[w.RunID] = max(out.idle[w.RunID], w.At.Sub(w.IdleSince))
		}
	}
	return out
}
