package idds_test

import (
	"encoding/json"
	"testing"
	"time"

	"tfpilot/idds/sqlite"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// book is a ledger on a store of its own, without a service.
type book struct {
	t      *testing.T
	ledger ledger.Rules
	store  *sqlite.Store
	now    time.Time
}

func newBook(t *testing.T) *book {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &book{t: t, store: s, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// do runs steps of the ledger, each in a transaction of its own.
func (b *book) do(steps ...func(tx ledger.Tx) error) {
	b.t.Helper()
	for _, fn := range steps {
		b.now = b.now.Add(time.Second)
		must(b.t, b.store.Update(b.t.Context(), fn))
	}
}

// keyA is the key of slice "a", which the books of the tests are about.
var keyA = ledger.Key{Namespace: namespace, Run: run, Identity: "a"}

func (b *book) sent(attempt int64) func(ledger.Tx) error {
	return func(tx ledger.Tx) error {
		m := message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(b.now), Namespace: namespace,
			Content: message.SliceContent{
				ReqID: "a", Filename: "f", Start: message.NewInt(0), End: message.NewInt(9), Attempt: message.NewInt(attempt),
			},
		}
		body, err := json.Marshal(m)
		must(b.t, err)
		_, err = b.ledger.Sent(tx, m, body, b.now)
		return err
	}
}

func (b *book) result(identity string, attempt int64, f *message.Failure) func(ledger.Tx) error {
	return func(tx ledger.Tx) error {
		m := message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
			Content: message.ResultContent{
				State: message.StateDone, ReqID: message.Text(identity), Attempt: message.NewInt(attempt), Failure: f, PilotID: "p",
			},
		}
		if f != nil {
			m.Content.State = message.StateFailed
		}
		return b.ledger.Result(tx, m, b.now)
	}
}

func (b *book) lost(attempt int) func(ledger.Tx) error {
	return func(tx ledger.Tx) error { return b.ledger.Lost(tx, keyA, attempt, "why", b.now) }
}

func (b *book) end(tx ledger.Tx) error {
	return b.ledger.End(tx, message.EndRun{MsgType: message.TypeEndRun, RunID: message.Run(run), Namespace: namespace}, b.now)
}

func (b *book) close(tx ledger.Tx) error {
	_, err := b.ledger.Close(tx, namespace, run, nil, time.Second, time.Hour, b.now.Add(time.Minute))
	return err
}

func (b *book) run() ledger.Run {
	b.t.Helper()
	list, err := b.store.Runs(b.t.Context(), namespace)
	if must(b.t, err); len(list) != 1 {
		b.t.Fatalf("%d runs", len(list))
	}
	return list[0]
}

// slice is the only one.
func (b *book) slice() ledger.Slice {
	b.t.Helper()
	list, err := b.store.Slices(b.t.Context(), ledger.Filter{Run: run})
	if must(b.t, err); len(list) != 1 {
		b.t.Fatalf("%d slices", len(list))
	}
	return list[0]
}

func TestLosingAnAttemptThatNeverWasChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.lost(7), b.result("a", 1, nil), b.lost(2))
	if r, s := b.run(), b.slice(); r.Retried != 0 || len(s.Attempts) != 1 {
		t.Errorf("retried %d, attempts %+v", r.Retried, s.Attempts)
	}
}

func TestAResultThatMakesItsSliceOpensAClosedRunAgain(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.result("a", 1, nil), b.end, b.close)
	if r := b.run(); r.State != document.RunClosed {
		t.Fatalf("%+v", r)
	}
	b.do(b.result("late", 1, crashed))
	if r := b.run(); r.State != document.RunEnding || r.StopSent {
		t.Errorf("a slice waits for its next attempt in a run that is %s", r.State)
	}
}

func TestAConfirmationIsOfOneAttempt(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	resend := func(tx ledger.Tx) error {
		b.now = b.now.Add(time.Hour)
		_, err := b.ledger.Resend(tx, keyA, b.now)
		return err
	}
	b.do(b.sent(1), b.result("a", 1, crashed), resend)
	b.do(func(tx ledger.Tx) error { return b.ledger.Confirm(tx, keyA, 1) })
	if s := b.slice(); s.Unsent != 2 || s.Latest() != 2 {
		t.Errorf("attempt %d, unsent %d", s.Latest(), s.Unsent)
	}
	b.do(func(tx ledger.Tx) error { return b.ledger.Confirm(tx, keyA, 2) })
	if s := b.slice(); s.Unsent != 0 {
		t.Error("confirmed and still to be sent")
	}
}

func TestAnAbsorbedResultStandsInTheRecordOfItsAttempt(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.lost(1), b.sent(2), b.result("a", 2, nil), b.result("a", 1, crashed))
	s := b.slice()
	if a := s.Attempts[0]; a.State != "failed" || a.PilotID != "p" || a.Failure == nil || s.Failure != nil {
		t.Errorf("%+v", a)
	}
	if r := b.run(); r.Absorbed != 1 || r.Done != 1 || r.Unexplained != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAFaultThatIsNoticedLaterExplainsWhatCameTwiceBefore(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.result("a", 1, nil), b.result("a", 1, nil))
	if r := b.run(); r.Unexplained != 1 {
		t.Errorf("%+v", r)
	}
	b.do(func(tx ledger.Tx) error { return b.ledger.Disturb(tx, namespace, run) })
	if r := b.run(); r.Absorbed != 1 || r.Unexplained != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAFaultDoesNotHideHowMuchCameTwiceBefore(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	disturb := func(tx ledger.Tx) error { return b.ledger.Disturb(tx, namespace, run) }
	b.do(b.sent(1), b.result("a", 1, nil), b.result("a", 1, nil), b.result("a", 1, nil), disturb, b.result("a", 1, nil), disturb)
	if r := b.run(); r.Absorbed != 3 || r.Unexplained != 0 || r.UnexplainedBefore != 2 {
		t.Errorf("%+v", r)
	}
}

func TestTheLastFailureOfSeveralAttemptsIsFinalOnlyWhenNoneIsOutstanding(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	permanent := &message.Failure{Name: "data_invalid", Class: "data"}
	b.do(b.sent(1), b.sent(2), b.result("a", 1, permanent))
	if s := b.slice(); s.State != ledger.Outstanding {
		t.Errorf("%s while attempt 2 is out", s.State)
	}
	b.do(b.result("a", 2, crashed))
	if s := b.slice(); s.State != ledger.Waiting {
		t.Errorf("%s after a retryable failure of attempt 2 of 3", s.State)
	}
	b.do(b.result("a", 3, permanent))
	if s, r := b.slice(), b.run(); s.State != ledger.Failed || s.Failure.Name != "data_invalid" || r.Failed != 1 {
		t.Errorf("%+v, %+v", s, r)
	}
	b.do(b.result("a", 1, nil))
	if s, r := b.slice(), b.run(); s.State != ledger.Done || s.Failure != nil || r.Failed != 0 || r.Done != 1 || r.Corrected != 1 {
		t.Errorf("%+v, %+v", s, r)
	}
}

func TestAnIntentOutlivesWhatBecomesOfAnothersAttempt(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.sent(1), b.result("a", 1, crashed), func(tx ledger.Tx) error {
		b.now = b.now.Add(time.Hour)
		_, err := b.ledger.Resend(tx, keyA, b.now)
		return err
	})
	b.do(b.sent(3), b.lost(3)) // another program's
	due, err := b.store.Due(t.Context(), namespace, b.now)
	if must(t, err); len(due) != 1 || due[0].Unsent != 2 {
		t.Errorf("%+v", due)
	}
	b.do(func(tx ledger.Tx) error { return b.ledger.Confirm(tx, keyA, 2) })
	if due, err := b.store.Due(t.Context(), namespace, b.now); err != nil || len(due) != 0 {
		t.Errorf("%+v, %v", due, err)
	}
}
