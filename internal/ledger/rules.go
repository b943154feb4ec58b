package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/sums"
)

// Rules decide what becomes of a slice. They have no state of their own: all is in the transaction.
type Rules struct {
	// MaxAttempts of a slice (default 3).
	MaxAttempts int
	// Sender is what our own messages say that they are from.
	Sender string

	Duties
}

// ErrUnmatched says that a result fits no slice. It is counted with its run.
var ErrUnmatched = errors.New("result fits no slice")

func (l Rules) maxAttempts() int {
	if l.MaxAttempts <= 0 {
		return 3
	}
	return l.MaxAttempts
}

// Announce notes that a run is coming and how many workers it asks for, unless that is for another message to say.
func (l Rules) Announce(tx Tx, m message.RunImminentWorker, now time.Time) error {
	r, err := OpenRun(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return err
	}
	if l.DemandFrom != WorkflowTask {
		r.Workers, r.Guess, r.AnnouncedAt = m.Workers(), guess(m.Content), now
	} else if r.AnnouncedAt.IsZero() {
		r.Announced, r.AnnouncedAt = m.Workers(), now
	}
	return tx.PutRun(r)
}

// guess is what a request says of the work that comes, nil when it says nothing that can be.
func guess(c message.RunImminentWorkerContent) *Guess {
	g := Guess{}
	for _, of := range []struct {
		said message.Float
		into *float64
	}{{c.SliceProcessingTime, &g.Slice}, {c.WorkerRampupTime, &g.RampUp}, {c.WorkerRampdownTime, &g.RampDown}} {
		if f := of.said.Float64(); f > 0 && f <= 24*60*60 {
			*of.into = f
		}
	}
	if g == (Guess{}) {
		return nil
	}
	return &g
}

// Sent notes a published slice, with the body it came in, from which another attempt would be made. One that is known already,
// an echo of our own or a repetition, changes nothing. A further attempt that is not ours is somebody else's, which is news once
// when that is our duty.
func (l Rules) Sent(tx Tx, m message.Slice, body []byte, now time.Time) (news bool, err error) {
	k := Key{m.Namespace, m.Run().String(), m.Content.Identity()}
	r, err := OpenRun(tx, k.Namespace, m.Run(), now)
	if err != nil {
		return false, err
	}
	s, err := tx.Slice(k)
	if err != nil {
		return false, err
	}
	if s == nil {
		s = r.publish(k)
	}
	n := m.Content.AttemptNumber()
	a := s.attempt(r, n)
	s.confirm(n)
	if a.State == "" {
		a.State, a.CreatedAt = "sent", m.CreatedAt.Time()
		if s.State == Waiting {
			s.State, s.RetryAt = Outstanding, time.Time{}
		}
		if n > 1 && l.RetryOwner != Other && (l.Sender == "" || m.Sender != l.Sender) {
			s.Disturbed = true
			if news, err = Second(tx, k.Namespace, DutyRetry, m.Sender, k.Run, now); err != nil {
				return false, err
			}
		}
	}
	if len(s.Message) == 0 {
		s.describe(m, body, now)
		r.Latency = nil // its result came first, and knew less of when it was created
	}
	r.LastSliceAt = now
	at := a.CreatedAt
	if err := errors.Join(tx.PutSlice(s), tx.PutRun(r)); err != nil {
		return news, err
	}
	return news, l.early(tx, r, at, now)
}

// publish makes a slice of the run, one that was not known. A straggler opens a closed run once more, to be closed with it.
func (r *Run) publish(k Key) *Slice {
	r.Published++
	r.Latency = nil
	if r.State == document.RunClosed {
		r.State, r.StopSent = document.RunEnding, false
	}
	return &Slice{Key: k, State: Outstanding}
}

// describe fills in what only the slice's message says.
func (s *Slice) describe(m message.Slice, body []byte, now time.Time) {
	c := m.Content
	s.Filename, s.TFFilename, s.SliceID = c.Filename, c.TFFilename, c.SliceID.Int64()
	s.Start, s.End = c.Start.Int64(), c.End.Int64()
	if s.CreatedAt = m.Origin(); s.CreatedAt.IsZero() {
		s.CreatedAt = now
	}
	s.STFAt = c.STFCreatedAt.Time()
	s.Message = body
}

// Result notes what became of an attempt. It returns ErrUnmatched, after counting it, when the slice is not known and cannot be.
func (l Rules) Result(tx Tx, m message.SliceResult, now time.Time) error {
	r, err := heard(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return err
	}
	s, n, err := l.match(tx, r, m)
	if err != nil {
		return err
	}
	if s == nil {
		r.Unmatched++
		r.keep(m)
		return errors.Join(tx.PutRun(r), fmt.Errorf("%w: requested at %q", ErrUnmatched, m.Content.RequestedAt.Text()))
	}
	r.Peers = r.Peers || m.Content.PilotID == ""
	a := s.attempt(r, n)
	s.confirm(n) // the broker had it
	switch {
	case s.State == Done, a.State == "done", a.State == "failed" && m.Content.State == message.StateFailed:
		r.Absorbed++
		s.absorb(n, m.Content, now)
		if !r.Disturbed && !s.Disturbed && len(s.Attempts) == 1 && a.FinishedAt.After(r.HeardAt) {
			r.Unexplained++
		}
		if a.State != "done" && a.State != "failed" { // another attempt than the one that won: for the record
			record(a, m, now)
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
func (l Rules) match(tx Tx, r *Run, m message.SliceResult) (*Slice, int, error) {
	identity := m.Identity()
	if identity == "" {
		return matchRequest(tx, m)
	}
	s, err := tx.Slice(Key{m.Namespace, m.RunID.String(), identity})
	if err != nil {
		return nil, 0, err
	}
	n := max(1, int(m.Content.Attempt.Int64()))
	if s != nil && !m.Content.Attempt.IsZero() {
		return s, n, nil
	}
	c, _ := m.SliceContent() // the slice that it carries says what is not known otherwise
	if m.Content.Attempt.IsZero() {
		n = c.AttemptNumber()
	}
	if s == nil {
		s = r.publish(Key{m.Namespace, m.RunID.String(), identity})
		s.Filename, s.TFFilename, s.SliceID = c.Filename, c.TFFilename, c.SliceID.Int64()
		s.Start, s.End, s.STFAt = c.Start.Int64(), c.End.Int64(), c.STFCreatedAt.Time()
		if s.CreatedAt = c.FirstCreatedAt.Time(); s.CreatedAt.IsZero() {
			s.CreatedAt = m.Content.RequestedAt.Time()
		}
	}
	return s, n, nil
}

// matchRequest finds the attempt that a nameless result asked for, by the attempt's created_at. Ambiguous is unknown.
func matchRequest(tx Tx, m message.SliceResult) (*Slice, int, error) {
	at := m.Content.RequestedAt.Time()
	if at.IsZero() {
		return nil, 0, nil
	}
	s, err := tx.SliceByRequest(m.Namespace, m.RunID.String(), at)
	if s == nil || err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(s.Attempts, func(a document.Attempt) bool { return a.CreatedAt.Equal(at) })
	if i < 0 {
		return nil, 0, nil
	}
	return s, s.Attempts[i].Attempt, nil
}

// done makes the slice done: final, and it wins over everything.
func (l Rules) done(tx Tx, r *Run, s *Slice, a *document.Attempt, m message.SliceResult, now time.Time) error {
	if s.State == Failed {
		r.Failed--
		r.Corrected++
	}
	record(a, m, now)
	s.State, s.FinishedAt, s.Failure, s.RetryAt, s.Unsent = Done, now, nil, time.Time{}, 0
	s.Counts = m.Content.Counts
	r.Done++
	r.Latency = nil
	sums.AddCounts(r.Counts, s.Counts)
	r.Payloads.AddDone(m.Content)
	if len(m.Content.Histograms) == 0 {
		return nil
	}
	return merge(tx, r, m)
}

// merge adds a result's histograms to the run's. It counts even when they are refused.
func merge(tx Tx, r *Run, m message.SliceResult) error {
	merged, err := tx.Histograms(m.Namespace, m.RunID.String())
	if err != nil {
		return err
	}
	if !sums.AddHistograms(&merged, m.Content.Histograms) {
		r.Unmerged++
		return nil
	}
	return tx.PutHistograms(m.Namespace, m.RunID.String(), merged)
}

// failed ends an attempt; the slice waits for the next one, or ends when there is none.
func (l Rules) failed(r *Run, s *Slice, a *document.Attempt, m message.SliceResult, now time.Time) {
	record(a, m, now)
	r.Payloads.AddFailed(m.Content.Payload)
	l.settle(r, s, a.Failure, now)
}

// settle decides what follows a failed attempt.
func (l Rules) settle(r *Run, s *Slice, f *message.Failure, now time.Time) {
	if s.State.Final() || s.outstanding() {
		return
	}
	n := s.Latest()
	if f.Retryable && n < l.maxAttempts() {
		s.State = Waiting
		if l.RetryOwner != Other { // or it waits for him
			s.RetryAt = now.Add(time.Duration(1<<min(n, 10)) * time.Second)
		}
		return
	}
	s.State, s.Failure, s.FinishedAt, s.RetryAt = Failed, f, now, time.Time{}
	r.Failed++
}

// maxReason bounds what is kept of a failure's words: a peer may send a whole log.
const maxReason = 4 << 10

// record writes into an attempt what its result says.
func record(a *document.Attempt, m message.SliceResult, now time.Time) {
	c := m.Content
	a.State, a.PilotID, a.Hostname, a.StartedAt, a.FinishedAt = "done", c.PilotID, c.Hostname, c.ProcessingStartAt.Time(), now
	a.ReceivedAt, a.ProcessedAt, a.PublishedAt = c.ReceivedAt.Time(), c.ProcessedAt.Time(), m.CreatedAt.Time()
	if c.ProcessingTime != nil {
		a.ProcessingTime = *c.ProcessingTime
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = c.RequestedAt.Time()
	}
	if c.State == message.StateDone {
		return
	}
	a.State, a.Failure = "failed", c.Failure
	if f := c.Failure; f != nil && len(f.Message) > maxReason {
		short := *f
		short.Message = message.Cut(f.Message, maxReason)
		a.Failure = &short
	}
	if a.Failure == nil { // a peer: retryable
		text := "failed without a reason"
		if c.Result.Error != nil {
			text = message.Cut(*c.Result.Error, maxReason)
		}
		a.Failure = &message.Failure{
			Code: exitcode.PayloadFailed.Code, Name: exitcode.PayloadFailed.Name, Class: string(exitcode.PayloadFailed.Class),
			Retryable: true, Message: text,
		}
	}
}

// Lost gives up an attempt that no worker holds and the broker does not have: found dead, or reported by nobody.
func (l Rules) Lost(tx Tx, k Key, attempt int, reason string, now time.Time) error {
	s, err := tx.Slice(k)
	if s == nil || err != nil {
		return err
	}
	r, err := tx.Run(k.Namespace, k.Run)
	if r == nil || err != nil {
		return err
	}
	i := slices.IndexFunc(s.Attempts, func(a document.Attempt) bool { return a.Attempt == attempt && a.State == "sent" })
	if i < 0 || s.State.Final() {
		return nil
	}
	a := &s.Attempts[i]
	a.State, a.Reason, a.FinishedAt, a.LostAt = "lost", reason, now, now
	s.Disturbed = true
	s.confirm(attempt) // the broker had it, or nobody has
	l.settle(r, s, lost(reason), now)
	return errors.Join(tx.PutSlice(s), tx.PutRun(r))
}

// lost is the failure of an attempt that was given up.
func lost(reason string) *message.Failure {
	return &message.Failure{
		Code: exitcode.Internal.Code, Name: "lost", Class: string(exitcode.ClassInfrastructure), Retryable: true, Message: reason,
	}
}

// Resend makes the next attempt's message. It is to be stored with Unsent before it is sent, and confirmed after.
func (l Rules) Resend(tx Tx, k Key, now time.Time) (*message.Slice, error) {
	s, err := tx.Slice(k)
	if s == nil || err != nil || len(s.Message) == 0 {
		return nil, err // without its message (a result came first) it waits for it
	}
	var m message.Slice
	if err := json.Unmarshal(s.Message, &m); err != nil {
		return nil, fmt.Errorf("decoding the stored slice %s: %w", k.Identity, err)
	}
	if s.Unsent != 0 { // the intent is there already
		return &m, nil
	}
	if s.State != Waiting || s.RetryAt.After(now) || l.RetryOwner == Other {
		return nil, nil
	}
	r, err := tx.Run(k.Namespace, k.Run)
	if r == nil || err != nil {
		return nil, err
	}
	n := s.Latest() + 1
	m.Namespace, m.Sender = k.Namespace, cmp.Or(l.Sender, m.Sender)
	m.Content.Attempt = message.NewInt(int64(n))
	m.Content.FirstCreatedAt = message.At(s.CreatedAt)
	m.CreatedAt = message.At(now)
	if s.Message, err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("encoding slice %s: %w", k.Identity, err)
	}
	a := s.attempt(r, n)
	a.State, a.CreatedAt, a.Reason = "sent", m.CreatedAt.Time(), "sent again by idds"
	s.State, s.RetryAt, s.Unsent, s.Disturbed = Outstanding, time.Time{}, n, true
	return &m, errors.Join(tx.PutSlice(s), tx.PutRun(r))
}

// Confirm notes that the broker has an attempt that was sent again.
func (l Rules) Confirm(tx Tx, k Key, attempt int) error {
	s, err := tx.Slice(k)
	if s == nil || err != nil || !s.confirm(attempt) {
		return err
	}
	return tx.PutSlice(s)
}

// Disturb notes a fault that explains results that come twice in a run, also those that have come already: the slice of a worker
// that died is at another at once, and its silence is noticed seconds later. Their number is kept: a fault that comes long after
// them, a restart, explains nothing.
func (l Rules) Disturb(tx Tx, namespace, runID string) error {
	r, err := tx.Run(namespace, runID)
	if r == nil || r.Disturbed || err != nil {
		return err
	}
	r.Disturbed, r.UnexplainedBefore, r.Unexplained = true, r.Unexplained, 0
	return tx.PutRun(r)
}
