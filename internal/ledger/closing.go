package ledger

import (
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// End notes that a run has ended and, when the producer says, how many slices it has.
func (l Rules) End(tx Tx, m message.EndRun, now time.Time) error {
	r, err := OpenRun(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return err
	}
	if !m.Content.TotalSlices.IsZero() {
		n := int(m.Content.TotalSlices.Int64())
		r.TotalSlices = &n
	}
	if r.State == document.RunOpen {
		r.State, r.EndedAt, r.EndCreatedAt = document.RunEnding, now, m.CreatedAt
	}
	return tx.PutRun(r)
}

// Close closes a run when all of it is known and final. left are the slices to fail first when the run's time is over.
func (l Rules) Close(tx Tx, namespace, runID string, left []Key, quiet, timeout time.Duration, now time.Time) (*Run, error) {
	r, err := tx.Run(namespace, runID)
	if r == nil || err != nil || r.State != document.RunEnding {
		return r, err
	}
	over := now.Sub(r.EndedAt) > timeout
	if over {
		for _, k := range left {
			if err := l.timeout(tx, r, k, now); err != nil {
				return r, err
			}
		}
	}
	if r.Outstanding() > 0 || !over && !r.complete(quiet, now) {
		return r, tx.PutRun(r)
	}
	r.State, r.ClosedAt, r.StopSent = document.RunClosed, now, l.StopSender == Other && r.StopSeen
	return r, tx.PutRun(r)
}

// Measured notes what a closed run has taken, unless something has come to it since it was measured.
func (l Rules) Measured(tx Tx, as *Run, latency document.RunLatency) error {
	r, err := tx.Run(as.Namespace, as.RunID.String())
	if r == nil || err != nil || r.State != document.RunClosed || r.Sampled() != as.Sampled() {
		return err
	}
	r.Latency = &latency
	return tx.PutRun(r)
}

// Stopped notes that the workers were told of the run's end.
func (l Rules) Stopped(tx Tx, namespace, runID string) error {
	r, err := tx.Run(namespace, runID)
	if r == nil || err != nil || r.State != document.RunClosed { // opened again meanwhile
		return err
	}
	r.StopSent = true
	return tx.PutRun(r)
}

// complete reports whether every slice of an ended run has been seen: as many as were announced or, when nobody announced,
// none for a while.
func (r *Run) complete(quiet time.Duration, now time.Time) bool {
	if r.TotalSlices != nil {
		return r.Published >= *r.TotalSlices
	}
	last := r.LastSliceAt
	if r.EndedAt.After(last) {
		last = r.EndedAt
	}
	return now.Sub(last) >= quiet
}

// timeout fails a slice that has no result when its run's time is over.
func (l Rules) timeout(tx Tx, r *Run, k Key, now time.Time) error {
	s, err := tx.Slice(k)
	if s == nil || err != nil || s.State.Final() {
		return err
	}
	s.State, s.FinishedAt, s.RetryAt, s.Unsent = Failed, now, time.Time{}, 0
	s.Failure = &message.Failure{
		Code: exitcode.Internal.Code, Name: "run_timeout", Class: string(exitcode.ClassInfrastructure),
		Message: "no result when the run's time was over",
	}
	r.Failed++
	return tx.PutSlice(s)
}
