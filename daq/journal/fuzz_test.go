package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"tfpilot/daq"
	"tfpilot/daq/journal"
	"tfpilot/internal/testkit"
)

// FuzzJournal looks for a journal on disk that daq does not survive, or that it reads differently the second time.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"plan":{}}` + "\n" + `{"step":3}` + "\n" + `{"published":"a"}` + "\n" + `{"ended":15}` + "\n"))
	f.Add([]byte(`{"stf":{"filename":"swf.1.000001.stf"}}` + "\n" + `{"result":{}}` + "\n" + `{"announced":1`))
	f.Add([]byte("null\n[]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "run-1.journal")
		testkit.Must(t, os.WriteFile(path, b, 0o600))
		j, err := journal.Open(dir, "1")
		if err != nil {
			if left, rerr := os.ReadFile(path); rerr != nil || string(left) != string(b) {
				t.Errorf("a damaged journal was changed: %q, %v", left, rerr)
			}
			return
		}
		before := len(j.Records())
		step := 7
		testkit.Must(t, j.Append(daq.Record{Step: &step})) // what is written now must not be joined to a torn line
		testkit.Must(t, j.Close())
		j, err = journal.Open(dir, "1")
		testkit.Must(t, err)
		records := j.Records()
		if last := records[len(records)-1]; len(records) != before+1 || last.Step == nil || *last.Step != step {
			t.Errorf("%d records, then %d: %+v", before, len(records), last)
		}
		testkit.Must(t, j.Close())
	})
}
