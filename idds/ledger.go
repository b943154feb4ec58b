package idds

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

// Ledger decides what becomes of a slice. It has no state of its own: all is in the transaction.
type Ledger struct {
	// MaxAttempts of a slice (default 3).
	MaxAttempts int
}

// ErrUnmatched says that a result fits no slice. It is counted with its run.
var ErrUnmatched = errors.New("result fits no slice")

func (l Ledger) maxAttempts() int {
	if l.MaxAttempts <= 0 {
		return 3
	}
	return l.MaxAttempts
}

// run finds a run, opening it when new: a slice may come before its run's announcement.
func run(tx Tx, namespace string, id message.RunID, now time.Time) (*Run, error) {
	r, err := tx.Run(namespace, id.String())
	if err != nil || r != nil {
		return r, err
	}
	return &Run{Namespace: namespace, RunID: id, State: message.RunOpen, OpenedAt: now, Counts: map[string]int64{}}, nil
}

// Announce notes that a run is coming and how many workers it asks for.
func (l Ledger) Announce(tx Tx, m message.RunImminentWorker, now time.Time) error {
	r, err := run(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return err
	}
	r.Workers = m.Workers()
	return tx.PutRun(r)
}

// End notes that a run has ended and, when the producer says, how many slices it has.
func (l Ledger) End(tx Tx, m message.EndRun, now time.Time) error {
	r, err := run(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return err
	}
	if !m.Content.TotalSlices.IsZero() {
		n := int(m.Content.TotalSlices.Int64())
		r.TotalSlices = &n
	}
	if r.State == message.RunOpen {
		r.State, r.EndedAt, r.EndCreatedAt = message.RunEnding, now, m.CreatedAt
	}
	return tx.PutRun(r)
}

// Sent notes a published slice. One that is known already, an echo of our own or a repetition, changes nothing.
func (l Ledger) Sent(tx Tx, m message.Slice, now time.Time) error {
	k := Key{m.Namespace, m.Run().String(), m.Content.Identity()}
	r, err := run(tx, k.Namespace, m.Run(), now)
	if err != nil {
		return err
	}
	s, err := tx.Slice(k)
	if err != nil {
		return err
	}
	if s == nil {
		s = &Slice{Key: k, State: Outstanding}
		r.Published++
		if r.State == message.RunClosed { // a straggler: the run has to be closed once more
			r.State, r.StopSent = message.RunEnding, false
		}
	}
	a := s.attempt(r, m.Content.AttemptNumber())
	if a.State == "" {
		a.State, a.CreatedAt = "sent", m.CreatedAt.Time()
		if s.State == Waiting {
			s.State = Outstanding
		}
	}
	if s.Message == nil {
		s.describe(m, now)
	}
	r.LastSliceAt = now
	return errors.Join(tx.PutSlice(s), tx.PutRun(r))
}

// describe fills in what only the slice's message says.
func (s *Slice) describe(m message.Slice, now time.Time) {
	c := m.Content
	s.Filename, s.TFFilename, s.SliceID = c.Filename, c.TFFilename, c.SliceID.Int64()
	s.Start, s.End = c.Start.Int64(), c.End.Int64()
	if s.CreatedAt = m.Origin(); s.CreatedAt.IsZero() {
		s.CreatedAt = now
	}
	s.STFAt = c.STFCreatedAt.Time()
	if b, err := json.Marshal(m); err == nil {
		s.Message = b
	}
}

// Result notes what became of an attempt. It returns ErrUnmatched, after counting it, when the slice is not known and cannot be.
func (l Ledger) Result(tx Tx, m message.SliceResult, now time.Time) error {
	r, err := run(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return err
	}
	s, n, err := l.match(tx, r, m)
	if err != nil {
		return err
	}
	if s == nil {
		r.Unmatched++
		return errors.Join(tx.PutRun(r), fmt.Errorf("%w: requested at %q", ErrUnmatched, m.Content.RequestedAt.Text()))
	}
	a := s.attempt(r, n)
	if n == s.Latest() {
		s.Unsent = false // the broker had it
	}
	switch {
	case s.State == Done, a.State == "done", a.State == "failed" && m.Content.State == message.StateFailed:
		r.Absorbed++
		if !r.Disturbed && !s.Disturbed && len(s.Attempts) == 1 {
			r.Unexplained++
		}
		return errors.Join(tx.PutSlice(s), tx.PutRun(r))
	case m.Content.State == message.StateDone:
		err = l.done(tx, r, s, a, m, now)
	default:
		l.failed(r, s, a, m, now)
	}
	return errors.Join(err, tx.PutSlice(s), tx.PutRun(r))
}

// match finds the slice and the attempt of a result, making the slice when the result came first.
func (l Ledger) match(tx Tx, r *Run, m message.SliceResult) (*Slice, int, error) {
	identity := m.Identity()
	if identity == "" {
		s, err := tx.SliceByRequest(m.Namespace, m.RunID.String(), m.Content.RequestedAt.Text())
		if s == nil || err != nil {
			return nil, 0, err
		}
		for _, a := range s.Attempts {
			if a.CreatedAt.Equal(m.Content.RequestedAt.Time()) {
				return s, a.Attempt, nil
			}
		}
		return s, s.Latest(), nil
	}
	c, _ := m.SliceContent()
	n := c.AttemptNumber()
	if !m.Content.Attempt.IsZero() {
		n = max(1, int(m.Content.Attempt.Int64()))
	}
	s, err := tx.Slice(Key{m.Namespace, m.RunID.String(), identity})
	if err != nil {
		return nil, 0, err
	}
	if s == nil {
		s = &Slice{Key: Key{m.Namespace, m.RunID.String(), identity}, State: Outstanding}
		s.Filename, s.TFFilename, s.SliceID = c.Filename, c.TFFilename, c.SliceID.Int64()
		s.Start, s.End, s.STFAt = c.Start.Int64(), c.End.Int64(), c.STFCreatedAt.Time()
		if s.CreatedAt = c.FirstCreatedAt.Time(); s.CreatedAt.IsZero() {
			s.CreatedAt = m.Content.RequestedAt.Time()
		}
		r.Published++
	}
	return s, n, nil
}

// done makes the slice done: final, and it wins over everything.
func (l Ledger) done(tx Tx, r *Run, s *Slice, a *message.AttemptDocument, m message.SliceResult, now time.Time) error {
	if s.State == Failed {
		r.Failed--
		r.Corrected++
	}
	fill(a, m, now)
	a.State = "done"
	s.State, s.FinishedAt, s.Failure, s.RetryAt, s.Unsent = Done, now, nil, time.Time{}, false
	s.Counts = m.Content.Counts
	r.Done++
	for key, n := range s.Counts {
		if n >= 0 && r.Counts[key] <= math.MaxInt64-n {
			r.Counts[key] += n
		}
	}
	if len(m.Content.Histograms) == 0 {
		return nil
	}
	merged, err := tx.Histograms(m.Namespace, m.RunID.String())
	if err != nil {
		return err
	}
	var set hist.Set
	if json.Unmarshal(m.Content.Histograms, &set) == nil && merged.Merge(set) == nil {
		return tx.PutHistograms(m.Namespace, m.RunID.String(), merged)
	}
	return nil // a result counts even when its pictures are broken
}

// failed ends an attempt; the slice waits for the next one, or ends when there is none.
func (l Ledger) failed(r *Run, s *Slice, a *message.AttemptDocument, m message.SliceResult, now time.Time) {
	fill(a, m, now)
	a.State = "failed"
	f := m.Content.Failure
	if f == nil { // a peer: retryable
		text := "failed without a reason"
		if m.Content.Result.Error != nil {
			text = *m.Content.Result.Error
		}
		f = &message.Failure{
			Code: exitcode.PayloadFailed.Code, Name: exitcode.PayloadFailed.Name, Class: string(exitcode.PayloadFailed.Class),
			Retryable: true, Message: text,
		}
	}
	a.Failure = f
	l.settle(r, s, f, now)
}

// settle decides what follows a failed attempt.
func (l Ledger) settle(r *Run, s *Slice, f *message.Failure, now time.Time) {
	if s.State.Final() || s.outstanding() {
		return
	}
	n := s.Latest()
	if f.Retryable && n < l.maxAttempts() {
		s.State = Waiting
		s.RetryAt = now.Add(time.Duration(1<<min(n, 10)) * time.Second)
		return
	}
	s.State, s.Failure, s.FinishedAt, s.RetryAt = Failed, f, now, time.Time{}
	r.Failed++
}

func fill(a *message.AttemptDocument, m message.SliceResult, now time.Time) {
	c := m.Content
	a.PilotID, a.Hostname, a.StartedAt, a.FinishedAt = c.PilotID, c.Hostname, c.ProcessingStartAt.Time(), now
	if c.ProcessingTime != nil {
		a.ProcessingTime = *c.ProcessingTime
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = c.RequestedAt.Time()
	}
}

// Lost gives up an attempt that no worker holds and the broker does not have: found dead, or reported by nobody.
func (l Ledger) Lost(tx Tx, k Key, attempt int, reason string, now time.Time) error {
	s, err := tx.Slice(k)
	if s == nil || err != nil {
		return err
	}
	r, err := tx.Run(k.Namespace, k.Run)
	if r == nil || err != nil {
		return err
	}
	a := s.attempt(r, attempt)
	if s.State.Final() || a.State != "sent" {
		return nil
	}
	a.State, a.Reason, a.FinishedAt = "lost", reason, now
	s.Disturbed, s.Unsent = true, false
	l.settle(r, s, &message.Failure{
		Code: exitcode.Internal.Code, Name: "lost", Class: string(exitcode.ClassInfrastructure), Retryable: true, Message: reason,
	}, now)
	return errors.Join(tx.PutSlice(s), tx.PutRun(r))
}

// Resend makes the next attempt's message. It is to be stored with Unsent before it is sent, and confirmed after.
func (l Ledger) Resend(tx Tx, k Key, now time.Time) (*message.Slice, error) {
	s, err := tx.Slice(k)
	if s == nil || err != nil || s.Message == nil {
		return nil, err // without its message (a result came first) it waits for it
	}
	var m message.Slice
	if err := json.Unmarshal(s.Message, &m); err != nil {
		return nil, fmt.Errorf("decoding the stored slice %s: %w", k.Identity, err)
	}
	if s.Unsent { // the intent is there already
		return &m, nil
	}
	if s.State != Waiting || s.RetryAt.After(now) {
		return nil, nil
	}
	r, err := tx.Run(k.Namespace, k.Run)
	if r == nil || err != nil {
		return nil, err
	}
	n := s.Latest() + 1
	m.Content.Attempt = message.NewInt(int64(n))
	m.Content.FirstCreatedAt = message.At(s.CreatedAt)
	m.CreatedAt = message.At(now)
	if s.Message, err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("encoding slice %s: %w", k.Identity, err)
	}
	a := s.attempt(r, n)
	a.State, a.CreatedAt, a.Reason = "sent", m.CreatedAt.Time(), "sent again by idds"
	s.State, s.RetryAt, s.Unsent, s.Disturbed = Outstanding, time.Time{}, true, true
	return &m, errors.Join(tx.PutSlice(s), tx.PutRun(r))
}

// Confirm notes that the broker has the latest attempt.
func (l Ledger) Confirm(tx Tx, k Key) error {
	s, err := tx.Slice(k)
	if s == nil || err != nil {
		return err
	}
	s.Unsent = false
	return tx.PutSlice(s)
}

// Disturb notes a fault that explains results that come twice in a run.
func (l Ledger) Disturb(tx Tx, namespace, runID string) error {
	r, err := tx.Run(namespace, runID)
	if r == nil || r.Disturbed || err != nil {
		return err
	}
	r.Disturbed = true
	return tx.PutRun(r)
}

// Close closes a run when all of it is known and final. left are the slices to fail first when the run's time is over.
func (l Ledger) Close(tx Tx, namespace, runID string, left []Key, quiet, timeout time.Duration, now time.Time) (*Run, error) {
	r, err := tx.Run(namespace, runID)
	if r == nil || err != nil || r.State != message.RunEnding {
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
	if r.outstanding() > 0 || !over && !r.complete(quiet, now) {
		return r, tx.PutRun(r)
	}
	r.State, r.ClosedAt = message.RunClosed, now
	return r, tx.PutRun(r)
}

// Stopped notes that the workers were told of the run's end.
func (l Ledger) Stopped(tx Tx, namespace, runID string) error {
	r, err := tx.Run(namespace, runID)
	if r == nil || err != nil {
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
func (l Ledger) timeout(tx Tx, r *Run, k Key, now time.Time) error {
	s, err := tx.Slice(k)
	if s == nil || err != nil || s.State.Final() {
		return err
	}
	s.State, s.FinishedAt, s.RetryAt, s.Unsent = Failed, now, time.Time{}, false
	s.Failure = &message.Failure{
		Code: exitcode.Internal.Code, Name: "run_timeout", Class: string(exitcode.ClassInfrastructure),
		Message: "no result when the run's time was over",
	}
	r.Failed++
	return tx.PutSlice(s)
}
