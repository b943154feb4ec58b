package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// lists checks what people ask a store, beside what the service needs.
func lists(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	t.Run("slices are found by pilot, by failure and by file", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		for want, f := range map[string]ledger.Filter{
			"100001/s01 100001/s04 100001/s07 100002/s01 100002/s04 100002/s07": {Pilot: "p1"},
			"100001/s04 100001/s07 100002/s01":                                  {Pilot: "p1", Limit: 3, After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s01"}},
			"100002/s01 100002/s04":                                             {Pilot: "p1", Run: "100002", Namespace: namespace, Limit: 2},
			"100001/s03 100002/s03":                                             {Failure: "data_invalid"},
			"100001/s03 100001/s06 100002/s03 100002/s06":                       {States: []ledger.SliceState{ledger.Failed, ledger.Waiting}, Pilot: "p0"},
			"100001/s06 100002/s06":                                             {Class: "payload", States: []ledger.SliceState{ledger.Waiting}},
			"100002/s03":                                                        {Class: "data", After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s05"}},
			"100001/s03":                                                        {Class: "data", Limit: 1},
			"100001/s00 100001/s01 100001/s02 100001/s03":                       {Run: "100001", Filename: "0.stf"},
			"100001/s02 100001/s03":                                             {Run: "100001", Filename: "0.stf", After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s01"}},
			"100001/s02":                                                        {Run: "100001", Limit: 1, After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s01"}},
			"100002/s00 100002/s01":                                             {Limit: 2, After: ledger.Key{Namespace: namespace, Run: "100001\x00", Identity: "\xff"}}, // a cursor is what anybody sends
			"100002/s01":                                                        {Run: "100002", Pilot: "p1", Limit: 1, After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s07"}},
			"100001/s07":                                                        {Run: "100001", Pilot: "p1", Limit: 1, After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s04"}},
			"100002/s06":                                                        {Run: "100002", Pilot: "p0", Class: "payload", States: []ledger.SliceState{ledger.Waiting}},
			"":                                                                  {Failure: "'; DROP TABLE slice; --"},
		} {
			list, err := store.Slices(t.Context(), f)
			var got []string
			for i := range list {
				got = append(got, list[i].Key.Run+"/"+list[i].Key.Identity)
			}
			if strings.Join(got, " ") != want || err != nil {
				t.Errorf("%+v: %v, want %s, %v", f, got, want, err)
			}
		}
	})
	t.Run("failures are counted by what they are and what became of the slice, and lead to it", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		got, err := store.Failures(t.Context(), namespace, "")
		want := []ledger.FailureCount{
			{Class: "data", Name: "data_invalid", State: ledger.Failed, N: 2}, {Class: "payload", Name: "unknown", State: ledger.Waiting, N: 2},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if got, err := store.Failures(t.Context(), "theirs", ""); len(got) != 0 || err != nil {
			t.Error(got, err)
		}
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			return ledger.Rules{}.Result(tx, outcome(slice("s03", 1, time.Now()), "p2", nil), time.Now())
		}))
		got, err = store.Failures(t.Context(), namespace, run)
		want = []ledger.FailureCount{
			{Class: "data", Name: "data_invalid", State: ledger.Done, N: 1}, {Class: "payload", Name: "unknown", State: ledger.Waiting, N: 1},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		for n, f := range map[int]ledger.Filter{
			2: {Class: "data"}, 1: {Class: "data", States: []ledger.SliceState{ledger.Done}}, 0: {Failure: "data_invalid", Run: run, States: []ledger.SliceState{ledger.Failed}},
		} {
			if list, err := store.Slices(t.Context(), f); len(list) != n || err != nil {
				t.Errorf("%+v: %d slices, %v", f, len(list), err)
			}
		}
		if list, err := store.Slices(t.Context(), ledger.Filter{Pilot: "p2", Class: "data", Run: run}); len(list) != 1 || err != nil {
			t.Errorf("of the pilot that made it done: %d slices, %v", len(list), err)
		}
	})
	t.Run("failures lead to slices also when all are done after all", func(t *testing.T) {
		t.Parallel()
		for name, retryable := range map[string]bool{"after a failure that was final": false, "by the attempt that had failed": true} {
			store := open(t, t.TempDir())
			m, now := slice("s", 1, time.Now()), time.Now()
			must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
				return errors.Join(sent(tx, ledger.Rules{}, m, now), ledger.Rules{}.Result(tx, outcome(m, "p", &message.Failure{Class: "data", Retryable: retryable}), now),
					ledger.Rules{}.Result(tx, outcome(m, "p", nil), now))
			}))
			counts, err := store.Failures(t.Context(), "", run)
			if must(t, err); len(counts) != 1 || counts[0].State != ledger.Done {
				t.Errorf("%s: %v", name, counts)
			}
			if list, err := store.Slices(t.Context(), ledger.Filter{Run: run, Class: "data"}); len(list) != 1 || err != nil {
				t.Errorf("%s: %d slices, %v", name, len(list), err)
			}
		}
	})
	t.Run("a failure that many had and few are left with is not taken for another one", func(t *testing.T) {
		t.Parallel()
		store, now := open(t, t.TempDir()), time.Now()
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			var err error
			for _, id := range []string{"a", "b", "c"} {
				m := slice(id, 1, now)
				err = errors.Join(err, sent(tx, ledger.Rules{}, m, now), ledger.Rules{}.Result(tx, outcome(m, "p", &message.Failure{Class: "data"}), now),
					ledger.Rules{}.Result(tx, outcome(m, "p", nil), now))
			}
			m := slice("d", 1, now)
			return errors.Join(err, sent(tx, ledger.Rules{}, m, now), ledger.Rules{}.Result(tx, outcome(m, "q", &message.Failure{Class: "payload"}), now))
		}))
		failed, file := []ledger.SliceState{ledger.Failed}, slice("a", 1, now).Content.Filename
		for want, of := range map[int][]ledger.Filter{
			0: {
				{Run: run, Class: "data", States: failed},
				{Run: run, Class: "data", Pilot: "q"},
				{Run: run, Class: "data", Pilot: "p", States: failed},
				{Run: run, Class: "data", Filename: "other.stf"},
				{Pilot: "p", Filename: "other.stf"},
			},
			1: {{Run: run, Class: "payload", States: failed}, {Run: run, Class: "payload", Pilot: "q"}, {Run: run, Filename: file, States: failed}},
			3: {{Run: run, Class: "data"}, {Run: run, Class: "data", Pilot: "p"}},
		} {
			for _, f := range of {
				if list, err := store.Slices(t.Context(), f); len(list) != want || err != nil {
					t.Errorf("%+v: %d slices, want %d, %v", f, len(list), want, err)
				}
			}
		}
	})
	t.Run("outcomes are told of every slice of a run", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		files, done, ended := map[string]int{}, 0, 0
		must(t, store.Outcomes(t.Context(), namespace, "100001", func(o ledger.Outcome) {
			if files[o.Filename]++; !o.DoneAt.IsZero() {
				done++
			}
			if !o.EndedAt.IsZero() {
				ended++
			}
			if o.CreatedAt.IsZero() || o.TakenAt.IsZero() || o.TakenAt.After(time.Now()) {
				t.Errorf("%+v", o)
			}
		}))
		if len(files) != 2 || files["0.stf"] != 4 || files["1.stf"] != 4 || done != 6 || ended != 7 {
			t.Errorf("%v, %d done, %d ended", files, done, ended)
		}
	})
	t.Run("files have the sums of their slices", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		var names []string
		for f := (ledger.FileFilter{Namespace: namespace, Limit: 2}); ; {
			page, err := store.Files(t.Context(), f)
			must(t, err)
			for i := range page {
				names = append(names, fmt.Sprintf("%s/%s %d %d %d", page[i].Run, page[i].Identity, page[i].Slices, page[i].Done, page[i].Failed))
				if len(page[i].Message) == 0 || page[i].FirstCreatedAt.IsZero() {
					t.Errorf("%+v", page[i])
				}
			}
			if len(page) < f.Limit {
				break
			}
			f.After = page[len(page)-1].Key
		}
		for want, f := range map[int]ledger.FileFilter{ // a cursor is what anybody sends, and opens nothing
			0: {Namespace: "theirs", After: ledger.Key{Namespace: namespace, Run: "100001"}},
			2: {Run: "100002", After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "0.stf"}},
			3: {Namespace: namespace, After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "0.stf\x00"}},
		} {
			if got, err := store.Files(t.Context(), f); len(got) != want || err != nil {
				t.Errorf("%+v: %+v, %v", f, got, err)
			}
		}
		last := ledger.FileFilter{Namespace: namespace, Run: "100002", Descending: true, Limit: 1}
		for _, want := range []string{"1.stf", "0.stf", ""} {
			page, err := store.Files(t.Context(), last)
			if must(t, err); len(page) == 0 && want == "" {
				break
			}
			if len(page) != 1 || page[0].Identity != want || page[0].Slices != 4 {
				t.Fatalf("%+v, want %s", page, want)
			}
			last.After = page[0].Key
		}
		want := []string{"100001/0.stf 4 3 1", "100001/1.stf 4 3 0", "100002/0.stf 4 3 1", "100002/1.stf 4 3 0"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("runs and pilots come in pages, and pilots of two namespaces may have one name", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		now := time.Now()
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			return errors.Join(tx.PutWorker(document.WorkerReport{PilotID: "p", Namespace: "theirs"}, now), tx.PutWorker(document.WorkerReport{PilotID: "p", Namespace: namespace}, now),
				tx.PutWorker(document.WorkerReport{PilotID: "q", Namespace: namespace, WorkerID: "w-q"}, now.Add(-time.Hour)))
		}))
		runs, err := store.FindRuns(t.Context(), ledger.RunFilter{AfterNamespace: namespace, AfterRun: "100001"})
		if len(runs) != 1 || runs[0].RunID.String() != "100002" || err != nil {
			t.Errorf("%+v, %v", runs, err)
		}
		for after, want := range map[string]string{"": "100002", "100002": "100001", "100001": ""} {
			list, err := store.FindRuns(t.Context(), ledger.RunFilter{Namespace: namespace, AfterNamespace: namespace, AfterRun: after, Descending: true, Limit: 1})
			if err != nil || len(list) != min(1, len(want)) || want != "" && list[0].RunID.String() != want {
				t.Errorf("before %q: %+v, %v", after, list, err)
			}
		}
		for want, f := range map[string]ledger.WorkerFilter{
			"theirs/p":               {Namespace: "theirs", Pilot: "p"},
			"test/p test/q theirs/p": {}, "test/p": {Namespace: namespace, Limit: 1}, "test/q theirs/p": {AfterNamespace: namespace, AfterPilot: "p"},
			"test/p theirs/p": {SeenSince: now.Add(-time.Minute)},
			"test/q":          {Worker: "w-q"}, "": {Namespace: "theirs", Worker: "w-q"},
		} {
			list, err := store.FindWorkers(t.Context(), f)
			var got []string
			for i := range list {
				got = append(got, list[i].Namespace+"/"+list[i].PilotID)
			}
			if strings.Join(got, " ") != want || err != nil {
				t.Errorf("%+v: %v, want %s, %v", f, got, want, err)
			}
		}
	})
	t.Run("runs are found by state", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open) // of two open runs
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			r := ledger.Rules{}
			odd := outcome(slice("x", 1, time.Now()), "p", nil)
			odd.RunID = message.Run("\x00\"state\":\"open\"")
			return errors.Join(r.End(tx, message.EndRun{RunID: message.Run("100002"), Namespace: namespace}, time.Now()), r.Result(tx, odd, time.Now()))
		}))
		for _, c := range []struct {
			f    ledger.RunFilter
			want int
		}{
			{ledger.RunFilter{}, 3},
			{ledger.RunFilter{Run: "100002"}, 1},
			{ledger.RunFilter{States: document.KnownRuns(), Limit: 1}, 1},
			{ledger.RunFilter{States: document.KnownRuns(), AfterNamespace: namespace, AfterRun: "100001"}, 1},
			{ledger.RunFilter{States: document.KnownRuns(), AfterNamespace: "a", AfterRun: "200000"}, 2},
			{ledger.RunFilter{States: document.KnownRuns(), AfterNamespace: "zzz"}, 0},
			{ledger.RunFilter{States: document.KnownRuns(), AfterNamespace: "zzz", AfterRun: "1", Descending: true}, 2},
			{ledger.RunFilter{States: document.KnownRuns(), AfterNamespace: namespace, AfterRun: "100002", Descending: true}, 1},
			{ledger.RunFilter{States: document.KnownRuns()}, 2},
			{ledger.RunFilter{States: []document.RunState{document.RunOpen}}, 1},
			{ledger.RunFilter{Namespace: namespace, States: []document.RunState{document.RunEnding}}, 1},
			{ledger.RunFilter{Namespace: namespace, States: []document.RunState{document.RunUnannounced}}, 1},
			{ledger.RunFilter{Namespace: "theirs", States: []document.RunState{document.RunOpen}}, 0},
			{ledger.RunFilter{Namespace: namespace, AfterNamespace: namespace, States: document.KnownRuns(), Descending: true, Limit: 1}, 1},
		} {
			if list, err := store.FindRuns(t.Context(), c.f); len(list) != c.want || err != nil {
				t.Errorf("%+v: %d runs, want %d, %v", c.f, len(list), c.want, err)
			}
		}
		n := 0
		if err := ledger.EveryRun(t.Context(), store, ledger.RunFilter{Limit: 2}, func(page []ledger.Run) { n += len(page) }); n != 3 || err != nil {
			t.Errorf("%d runs in pages, %v", n, err)
		}
	})
	t.Run("tokens and the audit are kept", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		token := access.Token{ID: "a", Hash: "hash", Name: "<b>\x00'", Role: access.Pilot, Namespace: namespace, CreatedAt: time.Now().UTC().Truncate(0)}
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			for i := range 5 {
				line := access.AuditLine{At: time.Now(), Who: strconv.Itoa(i), Namespace: []string{namespace, "theirs"}[i%2]}
				if err := tx.AddAudit(line); err != nil {
					return err
				}
			}
			return errors.Join(tx.PutToken(token), tx.Touch())
		}))
		token.RevokedBy = "me"
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error { return tx.PutToken(token) }))
		got, err := store.Tokens(t.Context())
		if diff := cmp.Diff([]access.Token{token}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		var who []string
		for before := int64(0); ; {
			page, next, err := store.AuditPage(t.Context(), namespace, before, 2)
			must(t, err)
			for _, line := range page {
				who = append(who, line.Who)
			}
			if before = next; next == 0 {
				break
			}
		}
		if !slices.Equal(who, []string{"4", "2", "0"}) {
			t.Error(who)
		}
	})
}

// filled has two runs of eight slices in two files each: of three pilots in turn, one failed and one to be tried again.
func filled(t *testing.T, open func(t testing.TB, dir string) ledger.Store) ledger.Store {
	t.Helper()
	store := open(t, t.TempDir())
	now, rules := time.Now(), ledger.Rules{MaxAttempts: maxAttempts}
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		for i := range 16 {
			m := slice(fmt.Sprintf("s%02d", i%8), 1, now)
			m.RunID, m.Content.Filename = message.Run(strconv.Itoa(100001+i/8)), strconv.Itoa(i%8/4)+".stf"
			var f *message.Failure
			switch i % 8 {
			case 3:
				f = &message.Failure{Class: "data", Name: "data_invalid"}
			case 6:
				f = &message.Failure{Class: "payload", Retryable: true}
			}
			if err := errors.Join(sent(tx, rules, m, now), rules.Result(tx, outcome(m, "p"+strconv.Itoa(i%8%3), f), now)); err != nil {
				return err
			}
		}
		return nil
	}))
	return store
}

func outcome(m message.Slice, pilot string, f *message.Failure) message.SliceResult {
	r := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: m.RunID, Namespace: m.Namespace,
		Content: message.ResultContent{State: message.StateDone, ReqID: m.Content.ReqID, PilotID: pilot, Failure: f},
	}
	if f != nil {
		r.Content.State = message.StateFailed
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
