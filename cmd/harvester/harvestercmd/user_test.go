package harvestercmd_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/sqlite"
)

func TestWhyTheBatchSystemStartsNoPilotIsExplained(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	store, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	held := harvester.Worker{ID: "w.0", Tag: "w", RunID: "7", State: harvester.Held, Reason: "the job is held by its user (JobHeldUser)"}
	other := held
	other.ID = "w.1"
	if err := store.Put(t.Context(), held, other); err != nil {
		t.Fatal(err)
	}
	over := harvester.RunReport{RunID: "6", Demanded: true}
	if err := store.SetDocument(t.Context(), harvester.ReportDocument, harvester.Report{At: time.Now(), Runs: []harvester.RunReport{over}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	contains(t, s.do("explain"), "No run wants pilots.", "The batch system says of 2 held, such as w.", ": the job is held by its user (JobHeldUser).")
	contains(t, s.do("status", "--output", "json"), `"run_id": "7"`, `"workers": 2`)
}

func TestACheckAsksIddsWhetherItTakesTheTokenOfPilots(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	idds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metainfo/prompt_broker" || r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer idds.Close()
	s := newSite(t, faithful, "")
	for token, want := range map[string]string{"good": "which idds takes", "stale": "idds does not take the token"} {
		file := filepath.Join(s.dir, token)
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stdout, stderr := command(t.Context(), "check", "--config", s.config, "--idds", idds.URL, "--pilot-token-file", file)
		contains(t, stdout+stderr, want)
	}
}

// slurm makes it a site whose batch system is Slurm, with scripts for its commands.
func (s site) slurm(commands map[string]string) {
	s.t.Helper()
	bin := s.t.TempDir()
	for name, text := range commands {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // a program
			s.t.Fatal(err)
		}
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.config, append([]byte("system = \"slurm\"\nslurm.bin = '"+bin+"'\n"), text...), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatWasSubmittedOnceIsLookedAtWithoutAHarvester(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "guard.min_interval = \"1ms\"\n")
	s.slurm(map[string]string{
		"sbatch": "cat >/dev/null; echo 4711", "scancel": "exit 1", "squeue": "exit 0",
		"sacct": "echo 'no such luck' >&2; exit 1",
	})
	contains(t, s.do("submit"), "4711_0", "4711_1", "queued")
	contains(t, s.do("workers", "--look"), "4711_0", "4711_1", "queued") // could not ask is not gone
	var list []harvester.Worker
	if err := json.Unmarshal([]byte(s.do("workers", "--look", "--output", "json")), &list); err != nil || len(list) != 2 || list[0].Misses == 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestASubmissionThatIsRefusedEndsWithThatStatus(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "")
	s.slurm(map[string]string{"sbatch": "cat >/dev/null\necho 'sbatch: error: invalid partition specified: nix' >&2\nexit 1"})
	status, stdout, stderr := command(t.Context(), "submit", "--config", s.config)
	if status != 48 {
		t.Errorf("it ended with %d", status)
	}
	contains(t, stdout, "missing", "batch_refused")
	contains(t, stderr, "invalid partition specified: nix")
}

func TestABatchSystemThatDoesNotAnswerIsSpared(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	s := newSite(t, faithful, "guard.min_interval = \"1ms\"\nguard.trip = 1\n")
	s.slurm(map[string]string{"squeue": "echo 'slurmctld does not answer' >&2; exit 1"})
	defer s.run()()
	contains(t, s.await("the batch system was not asked", "explain"), "slurmctld does not answer")
}
