package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// Down notes that a worker fell silent, with what it had in hand. A broker that redelivers for ever would feed a slice that kills
// its workers to one after the other: there it ends as failed when it took as many down as it has attempts. What merely waited
// for its turn took nobody down.
func (l Rules) Down(tx Tx, w document.WorkerReport, forEver bool, now time.Time) error {
	if err := l.Disturb(tx, w.Namespace, w.RunID); err != nil {
		return err
	}
	for _, in := range w.InHand {
		if in.RunningSince.IsZero() {
			continue
		}
		k := Key{w.Namespace, in.RunID, in.Identity}
		s, err := tx.Slice(k)
		if err != nil {
			return err
		}
		if s == nil || s.State.Final() || slices.Contains(s.Downed, w.PilotID) || len(s.Downed) >= l.maxAttempts() && !forEver {
			continue
		}
		i := slices.IndexFunc(s.Attempts, func(a document.Attempt) bool {
			return a.Attempt == max(1, in.Attempt) && a.State == "sent"
		})
		if i < 0 {
			continue
		}
		s.Downed, s.Disturbed = append(s.Downed, w.PilotID), true
		if forEver && len(s.Downed) >= l.maxAttempts() {
			if err := l.poisonous(tx, s, &s.Attempts[i], now); err != nil {
				return err
			}
		}
		if err := tx.PutSlice(s); err != nil {
			return err
		}
	}
	return nil
}

// poisonous ends a slice that takes its workers down.
func (l Rules) poisonous(tx Tx, s *Slice, a *document.Attempt, now time.Time) error {
	r, err := tx.Run(s.Key.Namespace, s.Key.Run)
	if r == nil || err != nil {
		return err
	}
	a.State, a.FinishedAt, a.LostAt = "lost", now, now
	a.Reason = fmt.Sprintf("%d workers fell silent with it: %s", len(s.Downed), strings.Join(s.Downed, ", "))
	s.State, s.FinishedAt, s.RetryAt, s.Unsent = Failed, now, time.Time{}, 0
	s.Failure = &message.Failure{
		Code: exitcode.PayloadCrashed.Code, Name: "workers_down", Class: string(exitcode.ClassPayload), Message: a.Reason,
	}
	r.Failed++
	return tx.PutRun(r)
}
