package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// beside checks what a store keeps that has nothing to do with slices.
func beside(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	t.Run("the detector's state comes with its run", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		want := document.Detector{State: "run\x00", Substate: "<b>'", STFs: 3, Since: time.Now().UTC().Truncate(time.Microsecond)}
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			var d document.Detector
			if there, err := tx.Document(ledger.Detectors, &d, namespace, run); there || err != nil {
				t.Error("there is one already", err)
			}
			err := tx.PutDocument(ledger.Detectors, want, namespace, run)
			if there, rerr := tx.Document(ledger.Detectors, &d, namespace, run); !there || rerr != nil || d.STFs != 3 {
				t.Error("the transaction does not see what it wrote", rerr)
			}
			return err
		}))
		got, err := store.Detector(t.Context(), namespace, run)
		if diff := cmp.Diff(&want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		for name, ask := range map[string]func() ([]ledger.Run, error){
			"FindRuns": func() ([]ledger.Run, error) {
				return store.FindRuns(t.Context(), ledger.RunFilter{Namespace: namespace})
			},
			"OpenRuns": func() ([]ledger.Run, error) { return store.OpenRuns(t.Context(), namespace) },
		} {
			runs, err := ask()
			if err != nil || len(runs) != 2 || runs[0].Detector == nil || runs[0].Detector.STFs != 3 || runs[1].Detector != nil {
				t.Errorf("%s: %+v, %v", name, runs, err)
			}
		}
		if got, err := store.Detector(t.Context(), namespace, "100002"); got != nil || err != nil {
			t.Error(got, err)
		}
	})
	t.Run("files are what slices and the data side know of them", func(t *testing.T) {
		t.Parallel()
		store := filled(t, open)
		put := func(run, name string, size int64, frames int) {
			must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
				err := tx.PutDocument(ledger.STFFiles, ledger.Announced{STF: document.STF{Status: "taken"}, SizeBytes: size}, namespace, run, name)
				for i := range frames {
					tf := fmt.Sprintf("%s_tf_%d", name, i)
					err = errors.Join(err, tx.PutDocument(ledger.TFFiles, document.TFFile{Namespace: namespace, RunID: run, Filename: tf, STF: name}, namespace, run, name, tf))
				}
				return err
			}))
		}
		put("100001", "0.stf", 7, 2)
		put("100001", "00.stf", 8, 1)
		put("100001", "2.stf", 9, 0)
		put("100009", "9.stf", 10, 3) // a run that only the data side knows
		files := func(f ledger.FileFilter) string {
			t.Helper()
			var got []string
			for {
				page, err := store.Files(t.Context(), f)
				must(t, err)
				for i := range page {
					d := page[i].Document()
					got = append(got, fmt.Sprintf("%s:%d:%d:%d", d.Filename, d.Slices, d.SizeBytes, d.TFFiles))
				}
				if f.Limit == 0 || len(page) < f.Limit {
					return strings.Join(got, " ")
				}
				f.After = page[len(page)-1].Key
			}
		}
		for want, f := range map[string]ledger.FileFilter{
			"0.stf:4:7:2 00.stf:0:8:1 1.stf:4:0:0 2.stf:0:9:0": {Namespace: namespace, Run: "100001"},
			"2.stf:0:9:0 1.stf:4:0:0 00.stf:0:8:1 0.stf:4:7:2": {Namespace: namespace, Run: "100001", Descending: true, Limit: 1},
			"9.stf:0:10:3": {Namespace: namespace, Run: "100009"},
			"0.stf:4:7:2 00.stf:0:8:1 1.stf:4:0:0 2.stf:0:9:0 0.stf:4:0:0 1.stf:4:0:0": {Namespace: namespace, Limit: 3},
			"": {Namespace: "theirs", Run: "100001"},
		} {
			if got := files(f); got != want {
				t.Errorf("%+v: %s, want %s", f, got, want)
			}
		}
		var got []string
		for f := (ledger.TFFilter{Namespace: namespace, Run: "100001", Limit: 2}); ; {
			page, err := store.TFFiles(t.Context(), f)
			must(t, err)
			for i := range page {
				got = append(got, page[i].Filename)
			}
			if len(page) < f.Limit {
				break
			}
			f.AfterSTF, f.AfterName = page[1].STF, page[1].Filename
		}
		if want := "0.stf_tf_0 0.stf_tf_1 00.stf_tf_0"; strings.Join(got, " ") != want {
			t.Error(got)
		}
		if list, err := store.TFFiles(t.Context(), ledger.TFFilter{Namespace: namespace, Run: "100001", STF: "00.stf"}); len(list) != 1 || err != nil {
			t.Error(list, err)
		}
	})
	t.Run("a file is found by its name, in whatever folder its slices say that it is", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			m := slice("a", 1, time.Now())
			m.Content.Filename = "root://host:1094//data/f.stf"
			return sent(tx, ledger.Rules{}, m, time.Now())
		}))
		for _, name := range []string{"f.stf", "/data/f.stf", "root://host:1094//data/f.stf"} {
			if list, err := store.Slices(t.Context(), ledger.Filter{Run: run, Namespace: namespace, Filename: name}); len(list) != 1 || err != nil {
				t.Errorf("%s: %+v, %v", name, list, err)
			}
		}
		list, err := store.Files(t.Context(), ledger.FileFilter{Namespace: namespace, Run: run})
		if err != nil || len(list) != 1 || list[0].Document().Filename != "f.stf" || list[0].Document().Path != "root://host:1094//data/f.stf" {
			t.Errorf("%+v, %v", list, err)
		}
	})
	t.Run("components are kept until they are dropped", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		store := open(t, dir)
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			for _, name := range []string{"b\x00'", "a"} {
				for _, ns := range []string{namespace, "theirs"} {
					if err := tx.PutDocument(ledger.Components, document.Component{Namespace: ns, Name: name}, ns, name); err != nil {
						return err
					}
				}
			}
			return errors.Join(tx.DropDocument(ledger.Components, namespace, "b\x00'"), tx.DropDocument(ledger.Components, namespace, "never"))
		}))
		_ = store.Close()
		store = open(t, dir)
		for ns, want := range map[string]int{namespace: 1, "theirs": 2, "": 3, "x": 0} {
			if list, err := store.Components(t.Context(), ns); len(list) != want || err != nil {
				t.Errorf("%q: %+v, %v", ns, list, err)
			}
		}
	})
}
