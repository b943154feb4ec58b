package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// tasks checks workflow tasks and the messages of their requests.
func tasks(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	t.Run("workflow tasks have numbers of their own, and are found by all that names them", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		task := func(namespace, run, scope, name string) ledger.Task {
			return ledger.Task{
				Namespace: namespace, RunID: message.Run(run), Scope: scope, Name: name, TaskSize: document.TaskSize{Workers: 3}, CreatedAt: time.Now().UTC(),
				Asked: json.RawMessage(`{"a":"\u0000'"}`),
			}
		}
		list := []ledger.Task{
			task(namespace, "1", "s", "n"), task(namespace, "2", "s", "n"), task(namespace, "2", "s", "'; DROP TABLE task; --"),
			task("theirs", "2", "s", "n"), task(namespace, "a\x00b", "\xff", "n"),
		}
		for i := range list {
			must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
				if i == 1 {
					list[i].Request = list[0].ID
				}
				return tx.PutTask(&list[i])
			}))
		}
		list[0].ClosedAt = time.Now().UTC()
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			before, err := tx.Tasks(ledger.TaskFilter{ID: list[0].ID})
			if err != nil || len(before) != 1 || !before[0].Open() {
				t.Errorf("%+v, %v", before, err)
			}
			if err := tx.PutTask(&list[0]); err != nil {
				return err
			}
			after, err := tx.Tasks(ledger.TaskFilter{ID: list[0].ID})
			if len(after) != 1 || after[0].Open() { // within its own transaction
				t.Errorf("%+v", after)
			}
			return err
		}))
		for _, c := range []struct {
			f    ledger.TaskFilter
			want []int64
		}{
			{ledger.TaskFilter{}, []int64{1, 2, 3, 4, 5}},
			{ledger.TaskFilter{Namespace: namespace, Run: "2"}, []int64{2, 3}},
			{ledger.TaskFilter{Namespace: namespace, Scope: "s", Name: "n"}, []int64{1, 2}},
			{ledger.TaskFilter{Namespace: namespace, Run: "2", Scope: "s", Name: "n"}, []int64{2}},
			{ledger.TaskFilter{Request: 1}, []int64{1, 2}},
			{ledger.TaskFilter{Request: 1, ID: 4}, nil},
			{ledger.TaskFilter{ID: 4}, []int64{4}},
			{ledger.TaskFilter{Namespace: namespace, Run: "a\x00b"}, []int64{5}},
			{ledger.TaskFilter{Namespace: namespace, After: 1, Limit: 2}, []int64{2, 3}},
			{ledger.TaskFilter{Namespace: "nobody"}, nil},
		} {
			found, err := store.Tasks(t.Context(), c.f)
			var got []int64
			for i := range found {
				got = append(got, found[i].ID)
			}
			if !slices.Equal(got, c.want) || err != nil {
				t.Errorf("%+v: %v, want %v, %v", c.f, got, c.want, err)
			}
		}
		found, err := store.Tasks(t.Context(), ledger.TaskFilter{Limit: 2})
		if diff := cmp.Diff(list[:2], found, cmp.Comparer(message.RunID.Same), cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
	t.Run("messages of a request are kept in the order of their coming", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		want := []ledger.TaskMessage{
			{Namespace: namespace, RequestID: 7, TransformID: 8, InternalID: "x", By: "me", Content: json.RawMessage(`{"a":1}`)},
			{Namespace: namespace, RequestID: 7, WorkloadID: 9, Content: json.RawMessage(`null`)},
			{Namespace: namespace, RequestID: 7, Content: json.RawMessage("[\"\xff\"]")}, // no store keeps what is no UTF-8
		}
		others := []ledger.TaskMessage{{Namespace: namespace, RequestID: 8, Content: json.RawMessage(`1`)}, {Namespace: "theirs", RequestID: 7, Content: json.RawMessage(`2`)}}
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			for _, m := range append(others, want...) {
				if err := tx.AddTaskMessage(m); err != nil {
					return err
				}
			}
			n, err := tx.CountTaskMessages(namespace, 7)
			if n != len(want) {
				err = errors.Join(err, errors.New("counted wrong"))
			}
			return err
		}))
		got, err := store.TaskMessages(t.Context(), namespace, 7)
		want[2].Content = json.RawMessage("[\"\uFFFD\"]")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}
