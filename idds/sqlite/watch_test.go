package sqlite_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/idds/sqlite"
	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// heard is a store and what it told.
type heard struct {
	ledger.Store

	commits []commits.Commit
}

func watched(t *testing.T) *heard {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	h := &heard{}
	h.Store = commits.Watch(store, func(c commits.Commit) { h.commits = append(h.commits, c) })
	return h
}

// told is the last commit, its slices as "identity: was -> is, ended attempts".
func (h *heard) told() (c commits.Commit, changes map[string][]any) {
	c = h.commits[len(h.commits)-1]
	changes = map[string][]any{}
	for _, s := range c.Slices {
		changes[s.Key.Identity] = []any{s.Was, s.State, s.Ended}
	}
	return c, changes
}

func (h *heard) update(t *testing.T, fn func(tx ledger.Tx) error) {
	t.Helper()
	must(t, h.Update(t.Context(), fn))
}

func sent(identity string, attempt int64) message.Slice {
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run("1"), CreatedAt: message.At(time.Unix(1000+attempt, 0)), Namespace: "test",
		Content: message.SliceContent{ReqID: message.Text(identity), Filename: "f", Start: message.NewInt(0), End: message.NewInt(9), Attempt: message.NewInt(attempt)},
	}
}

func resultOf(identity, state string, f *message.Failure) message.SliceResult {
	return message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run("1"), Namespace: "test",
		Content: message.ResultContent{State: state, ReqID: message.Text(identity), Failure: f},
	}
}

func TestAWatchedStoreTellsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	h, rules, now := watched(t), ledger.Rules{}, time.Unix(2000, 0)
	h.update(t, func(tx ledger.Tx) error {
		for _, identity := range []string{"a", "b"} {
			if _, err := rules.Sent(tx, sent(identity, 1), []byte("{}"), now); err != nil {
				return err
			}
		}
		return nil
	})
	c, changes := h.told()
	none := []int(nil)
	if d := cmp.Diff(map[string][]any{
		"a": {ledger.SliceState(""), ledger.Outstanding, none}, "b": {ledger.SliceState(""), ledger.Outstanding, none},
	}, changes); d != "" || len(c.Runs) != 1 || c.Runs[0].Published != 2 {
		t.Errorf("slices that were sent: %+v\n%s", c.Runs, d)
	}

	h.update(t, func(tx ledger.Tx) error {
		return errors.Join(
			rules.Result(tx, resultOf("a", message.StateDone, nil), now),
			rules.Result(tx, resultOf("b", message.StateFailed, &message.Failure{Name: "data_range", Class: "data"}), now),
		)
	})
	if _, changes = h.told(); !cmp.Equal(changes, map[string][]any{
		"a": {ledger.Outstanding, ledger.Done, []int{1}}, "b": {ledger.Outstanding, ledger.Failed, []int{1}},
	}) {
		t.Errorf("results: %v", changes)
	}

	h.update(t, func(tx ledger.Tx) error { return rules.Result(tx, resultOf("a", message.StateDone, nil), now) })
	if c, changes = h.told(); !cmp.Equal(changes, map[string][]any{"a": {ledger.Done, ledger.Done, none}}) || c.Runs[0].Absorbed != 1 {
		t.Errorf("a result once more: %v, %+v", changes, c.Runs)
	}

	h.update(t, func(tx ledger.Tx) error { return tx.PutWorker(document.WorkerReport{PilotID: "p"}, now) })
	if c, _ = h.told(); len(c.Workers) != 1 || c.Workers[0].PilotID != "p" || !c.Workers[0].At.Equal(now) {
		t.Errorf("a report: %+v", c.Workers)
	}
}

func TestAWatchedStoreTellsNothingOfWhatWasNotStored(t *testing.T) {
	t.Parallel()
	h, rules := watched(t), ledger.Rules{}
	refused := errors.New("refused")
	err := h.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := rules.Sent(tx, sent("a", 1), []byte("{}"), time.Unix(2000, 0))
		return errors.Join(err, refused)
	})
	if c, changes := h.told(); !errors.Is(err, refused) || !errors.Is(c.Err, refused) || len(changes) > 0 || len(c.Runs) > 0 {
		t.Errorf("%v; told %+v", err, c)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_ = h.Update(ended, func(ledger.Tx) error { return nil }) // may be done or not: it is told as it was
	h.update(t, func(ledger.Tx) error { return nil })
	if c, _ := h.told(); c.Err != nil || c.Number < 2 {
		t.Errorf("the next one: %+v", c)
	}
}
