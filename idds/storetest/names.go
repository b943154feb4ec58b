package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// endless is a name that no index takes as it is, nor compressed.
func endless(begin string) string {
	name, sum := begin, sha256.Sum256(nil)
	for len(name) < 20_000 {
		sum = sha256.Sum256(sum[:])
		name += string(hex.AppendEncode(nil, sum[:]))
	}
	return name
}

// names checks that a name may be as long as it likes: an index that refuses it would refuse the message whenever it comes again.
func names(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	t.Run("no name is too long", func(t *testing.T) {
		t.Parallel()
		store, now := open(t, t.TempDir()), time.Now()
		ns, id, pilot, file := endless("ns"), endless("1"), endless("p"), endless("f")
		failure := &message.Failure{Name: endless("n"), Class: endless("c")}
		for _, identity := range []string{endless("a"), endless("b"), endless("a") + "!"} {
			m := slice(identity, 1, now)
			m.Namespace, m.RunID, m.Content.Filename = ns, message.Run(id), file
			must(t, store.Update(t.Context(), func(tx ledger.Tx) error { return sent(tx, ledger.Rules{}, m, now) }))
			must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
				return ledger.Rules{}.Result(tx, outcome(m, pilot, failure), now)
			}))
		}
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			return tx.PutWorker(document.WorkerReport{PilotID: pilot, Namespace: ns}, now)
		}))
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			return tx.PutDocument(ledger.TFFiles, document.TFFile{Filename: "tf"}, ns, id, file, endless("tf"))
		}))
		for _, f := range []ledger.Filter{
			{Namespace: ns},
			{Namespace: ns, Run: id},
			{Namespace: ns, Run: id, Filename: file},
			{Namespace: ns, Pilot: pilot},
			{Namespace: ns, Class: failure.Class, Failure: failure.Name},
		} {
			if list, err := store.Slices(t.Context(), f); len(list) != 3 || err != nil {
				t.Errorf("%d slices, %v", len(list), err)
			}
		}
		s, err := store.Slice(t.Context(), ledger.Key{Namespace: ns, Run: id, Identity: endless("b")})
		if s == nil || err != nil || s.Key != s.Key.Text() {
			t.Errorf("%+v, %v", s, err)
		}
		if runs, err := store.FindRuns(t.Context(), ledger.RunFilter{Namespace: ns, Run: id}); len(runs) != 1 || err != nil || runs[0].Published != 3 {
			t.Errorf("%d runs, %v", len(runs), err)
		}
	})
}
