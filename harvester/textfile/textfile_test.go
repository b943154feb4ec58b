package textfile_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tfpilot/harvester"
	"tfpilot/harvester/sqlite"
	"tfpilot/harvester/textfile"
	"tfpilot/internal/logging"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func open(t *testing.T, state, file string, log *slog.Logger) *textfile.Store {
	t.Helper()
	inner, err := sqlite.Open(t.Context(), state)
	must(t, err)
	t.Cleanup(func() { _ = inner.Close() })
	s, err := textfile.Open(t.Context(), inner, file, "farm \"A\"", log)
	must(t, err)
	return s
}

// lines are what is in the file, which holds to the conventions and can be read by the collector.
func lines(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := p.TextToMetricFamilies(bytes.NewReader(text)); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	return string(text)
}

func mustHave(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, line := range wanted {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
}

func TestAReportStandsInTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "farm.prom")
	s := open(t, t.TempDir(), file, logging.Discard())
	mustHave(t, lines(t, file), `harvester_last_look_timestamp_seconds{site="farm \"A\""} 0`, `harvester_workers{site="farm \"A\"",state="running"} 0`)

	at := time.Unix(1000, 500e6)
	must(t, s.SetDocument(t.Context(), harvester.ReportDocument, harvester.Report{
		At: at, Drain: &harvester.Drain{}, Strays: 2, Pause: harvester.Pause{Failures: 3, Until: at.Add(time.Second)}, Excluded: make([]harvester.BadNode, 4),
		Runs: []harvester.RunReport{
			{RunID: "7", Namespace: "epic", Wanted: 5, Alive: map[harvester.State]int{harvester.Running: 2, harvester.Queued: 1}},
			{RunID: "a\\b\n\xff", Namespace: "epic", Alive: map[harvester.State]int{harvester.Running: 1}},
		},
		Trouble: []harvester.Trouble{{Whom: "slurm", Since: time.Unix(900, 0), Text: "no slurmctld"}},
	}))
	text := lines(t, file)
	mustHave(t, text, `harvester_last_look_timestamp_seconds{site="farm \"A\""} 1000.5`,
		`harvester_wanted_workers{site="farm \"A\"",namespace="epic",run="7"} 5`, `harvester_wanted_workers{site="farm \"A\"",namespace="epic",run="a\\b\n`+"\uFFFD"+`"} 0`,
		`harvester_workers{site="farm \"A\"",state="running"} 3`, `harvester_workers{site="farm \"A\"",state="queued"} 1`, `harvester_draining{site="farm \"A\""} 1`,
		`harvester_failures_in_a_row{site="farm \"A\""} 3`, `harvester_paused{site="farm \"A\""} 1`, `harvester_excluded_nodes{site="farm \"A\""} 4`,
		`harvester_stray_jobs{site="farm \"A\""} 2`, `harvester_trouble_since_timestamp_seconds{site="farm \"A\"",whom="slurm"} 900`)
	if strings.Contains(text, "no slurmctld") {
		t.Error("a message is a label")
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v: the collector is another user", info.Mode(), err)
	}
}

func TestSubmissionsAndEndsAreCountedOnce(t *testing.T) {
	t.Parallel()
	state, file := t.TempDir(), filepath.Join(t.TempDir(), "farm.prom")
	s := open(t, state, file, logging.Discard())
	put := func(s *textfile.Store, w harvester.Worker) {
		t.Helper()
		w.Tag = "tfpilot-x-1"
		must(t, s.Put(t.Context(), w))
		must(t, s.SetDocument(t.Context(), harvester.ReportDocument, harvester.Report{}))
	}
	put(s, harvester.Worker{ID: "a", State: harvester.Intended})
	put(s, harvester.Worker{ID: "a", State: harvester.Queued, BatchID: "1"})
	put(s, harvester.Worker{ID: "a", State: harvester.Running, BatchID: "1"})
	put(s, harvester.Worker{ID: "b", State: harvester.Queued, BatchID: "2"})
	put(s, harvester.Worker{ID: "c", State: harvester.Intended})
	for range 2 {
		put(s, harvester.Worker{ID: "a", State: harvester.Ended, BatchID: "1", Class: "walltime", Cause: "walltime"})
	}
	put(s, harvester.Worker{ID: "c", State: harvester.Missing})
	mustHave(t, lines(t, file), `harvester_workers_submitted_total{site="farm \"A\""} 2`,
		`harvester_workers_ended_total{site="farm \"A\"",class="unknown",cause="unknown"} 1`, `harvester_workers_ended_total{site="farm \"A\"",class="walltime",cause="walltime"} 1`)

	again := open(t, state, file, logging.Discard()) // after a restart those that live are known
	put(again, harvester.Worker{ID: "b", State: harvester.Ended, BatchID: "2", Class: "none", Cause: "ok"})
	mustHave(t, lines(t, file), `harvester_workers_submitted_total{site="farm \"A\""} 0`, `harvester_workers_ended_total{site="farm \"A\"",class="none",cause="ok"} 1`)
}

func TestAFileThatCannotBeWrittenStopsNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "collector")
	must(t, os.Mkdir(dir, 0o755))
	file := filepath.Join(dir, "farm.prom")
	var said strings.Builder
	s := open(t, t.TempDir(), file, slog.New(slog.NewTextHandler(&said, nil)))
	must(t, os.RemoveAll(dir))
	for range 3 {
		must(t, s.SetDocument(t.Context(), harvester.ReportDocument, harvester.Report{}))
	}
	must(t, os.Mkdir(dir, 0o755))
	must(t, s.SetDocument(t.Context(), harvester.ReportDocument, harvester.Report{}))
	if n := strings.Count(said.String(), "cannot be written"); n != 1 || !strings.Contains(said.String(), "can be written again") {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
	lines(t, file)
}

func TestAFileThatNobodyWouldReadIsRefused(t *testing.T) {
	t.Parallel()
	inner, err := sqlite.Open(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = inner.Close() })
	for file, why := range map[string]string{
		filepath.Join(t.TempDir(), "farm.txt"): "end in .prom", filepath.Join(t.TempDir(), "no", "folder", "farm.prom"): "no such file",
	} {
		if _, err := textfile.Open(t.Context(), inner, file, "farm", logging.Discard()); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", file, errors.Unwrap(err))
		}
	}
}
