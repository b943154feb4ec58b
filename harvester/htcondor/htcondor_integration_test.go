//go:build integration

package htcondor_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/batchtest"
	"tfpilot/harvester/htcondor"
	"tfpilot/internal/exitcode"
)

func TestIntegrationContract(t *testing.T) {
	t.Parallel()
	pool(t)
	traits := batchtest.Traits{Limit: limit, WallTime: 3 * time.Second}
	for name, transfer := range map[string]bool{"shared folder": false, "transferred": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batchtest.Run(t, traits, func(t *testing.T) harvester.BatchSystem {
				t.Helper()
				return open(t, func(c *htcondor.Config) { c.Transfer = transfer })
			})
		})
	}
}

// counted is a folder of HTCondor's commands that note each call.
func counted(t *testing.T) (bin string, calls func(command string) int) {
	t.Helper()
	bin = t.TempDir()
	for _, name := range []string{"condor_submit", "condor_q", "condor_history", "condor_rm"} {
		text := fmt.Sprintf("#!/bin/sh\necho %s >>%s/calls\nexec %s \"$@\"\n", name, bin, filepath.Join(pool(t), "bin", name))
		program(t, filepath.Join(bin, name), text)
	}
	return bin, func(command string) int {
		b, err := os.ReadFile(filepath.Join(bin, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(b), command+"\n")
	}
}

func TestIntegrationTwoHundredPilotsAreOneSubmissionAndOneQuery(t *testing.T) {
	t.Parallel()
	bin, calls := counted(t)
	s := open(t, func(c *htcondor.Config) { c.Bin, c.KeepTime = bin, limit })
	ids := submit(t, s, script(t, 200, "exit 0"))
	awaitState(t, s, ids, harvester.Ended)
	if n := calls("condor_submit"); n != 1 {
		t.Errorf("%d condor_submit for 200 pilots", n)
	}
	if n := calls("condor_history"); n != 0 {
		t.Errorf("%d condor_history, though the queue knew all", n)
	}
	before := calls("condor_q")
	if _, err := s.Queue(t.Context()); err != nil || calls("condor_q") != before+1 {
		t.Errorf("%d condor_q for one look: %v", calls("condor_q")-before, err)
	}
}

func TestIntegrationASubmissionThatHangsIsFoundByItsTag(t *testing.T) {
	t.Parallel()
	bin, _ := counted(t)
	text := fmt.Sprintf("#!/bin/sh\n%s \"$@\" && exec sleep 1000\n", filepath.Join(pool(t), "bin", "condor_submit"))
	program(t, filepath.Join(bin, "condor_submit"), text)
	s := open(t, func(c *htcondor.Config) { c.Bin, c.Timeout = bin, 10*time.Second })
	sub := script(t, 3, lasting)
	ids, err := s.Submit(t.Context(), sub)
	if !errors.Is(err, harvester.ErrUnclear) || len(ids) != 0 {
		t.Fatalf("%v, %v", ids, err)
	}
	jobs, err := s.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, j := range jobs {
		if j.Tag == sub.Tag {
			found = append(found, j.Index)
			ids = append(ids, j.ID)
		}
	}
	if slices.Sort(found); !slices.Equal(found, []int{0, 1, 2}) {
		t.Errorf("found %v of 3", found)
	}
	if err := s.Cancel(t.Context(), ids); err != nil {
		t.Error(err)
	}
}

func TestIntegrationAnEvictedPilotIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	sub := script(t, 2, lasting)
	ids := submit(t, s, sub)
	awaitStarted(t, sub, 2)
	command(t, "condor_vacate_job", ids[0])
	command(t, "condor_vacate_job", "-fast", ids[1])
	for id, st := range awaitState(t, s, ids, harvester.Ended) {
		if st.Cause.Code != exitcode.Preempted.Code || st.Starts != 1 || !strings.Contains(st.Reason, "evicted") {
			t.Errorf("%s: %+v", id, st)
		}
	}
	if n := len(started(t, sub)); n != 2 {
		t.Errorf("2 pilots were started %d times", n)
	}
}

func TestIntegrationAnEvictedPilotIsStartedAgainWhereTheSiteWantsThat(t *testing.T) {
	t.Parallel()
	s := open(t, func(c *htcondor.Config) { c.Requeue = true })
	sub := script(t, 1, lasting)
	ids := submit(t, s, sub)
	awaitStarted(t, sub, 1)
	command(t, "condor_vacate_job", ids[0])
	awaitStarted(t, sub, 2)
	await(t, s, ids, "running for the second time", func(st harvester.Status) bool { return st.State == harvester.Running && st.Starts == 2 })
}

func TestIntegrationWhatAUserHoldsStays(t *testing.T) {
	t.Parallel()
	s := open(t)
	sub := script(t, 1, lasting)
	ids := submit(t, s, sub)
	awaitStarted(t, sub, 1)
	command(t, "condor_hold", "-reason", "not today", ids[0])
	for id, st := range awaitState(t, s, ids, harvester.Held) {
		if !strings.Contains(st.Reason, "held by a user") || !strings.Contains(st.Reason, "not today") {
			t.Errorf("%s: %+v", id, st)
		}
	}
	if err := s.Cancel(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	for id, st := range awaitState(t, s, ids, harvester.Ended) {
		if st.Cause.Code != exitcode.Cancelled.Code || !strings.Contains(st.Reason, "cancelled by the harvester") {
			t.Errorf("%s: %+v", id, st)
		}
	}
}

func TestIntegrationWhatHTCondorHoldsIsRemovedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *harvester.Submission)
		lines  []string
		cause  exitcode.Failure
		words  string
	}{
		"a program that is not there": {
			func(_ *testing.T, sub *harvester.Submission) { sub.Path = "/no/such/program" }, nil,
			exitcode.LaunchFailed, "could not start the program",
		},
		"a policy of the site": {
			nil, []string{"periodic_hold = JobStatus == 2", `periodic_hold_reason = "enough"`}, exitcode.Cancelled, "enough",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, func(cfg *htcondor.Config) { cfg.Submit = c.lines })
			sub := script(t, 1, lasting)
			if c.change != nil {
				c.change(t, &sub)
			}
			ids := submit(t, s, sub)
			for id, st := range awaitState(t, s, ids, harvester.Ended) {
				if st.Cause.Code != c.cause.Code || !strings.Contains(st.Reason, c.words) {
					t.Errorf("%s: %+v", id, st)
				}
			}
		})
	}
}

func TestIntegrationAPilotIsShippedWithItsFiles(t *testing.T) {
	t.Parallel()
	s := open(t)
	dir := t.TempDir()
	token, path := filepath.Join(dir, "pilot.token"), filepath.Join(dir, "pilot")
	if err := os.WriteFile(token, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, path, "#!/bin/sh\ntest -s \"$1\" && stat -c %a \"$1\" && touch left-behind\n")
	sub := script(t, 1, "")
	sub.Path, sub.Args, sub.Files, sub.Ship = path, []string{"pilot.token"}, []string{token}, true
	ids := submit(t, s, sub)
	await(t, s, ids, "known", func(harvester.Status) bool { return true })
	if strings.Contains(command(t, "condor_history", "-l", ids[0])+command(t, "condor_q", "-l", ids[0]), "hunter2") {
		t.Error("what is in the token's file is in the job")
	}
	for id, st := range awaitState(t, s, ids, harvester.Ended) {
		if st.ExitCode != 0 {
			t.Errorf("%s: %+v", id, st)
		}
	}
	worker := filepath.Join(sub.Dir, sub.Tag+".0")
	if got, err := os.ReadFile(filepath.Join(worker, harvester.StdoutFile)); err != nil || string(got) != "600\n" {
		t.Errorf("the token's file is %q: %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(worker, "left-behind")); err == nil {
		t.Error("what it left on the node came back")
	}
}

func TestIntegrationAPilotStaysOffExcludedNodes(t *testing.T) {
	t.Parallel()
	s := open(t)
	sub := script(t, 2, lasting)
	for slot := range strings.FieldsSeq(command(t, "condor_status", "-af", "Name")) {
		if _, node, _ := strings.Cut(slot, "@"); strings.HasPrefix(node, "nodea") {
			sub.Exclude = []string{node}
		}
	}
	ids := submit(t, s, sub)
	for id, st := range awaitState(t, s, ids, harvester.Running) {
		if !strings.HasPrefix(st.Node, "nodeb@") {
			t.Errorf("%s runs on %s", id, st.Node)
		}
	}
}
