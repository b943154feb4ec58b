package htcondor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
	"tfpilot/internal/exitcode"
)

// printing is a command that prints this on stderr and fails.
func printing(text string) string { return "cat >&2 <<'END'\n" + text + "\nEND\nexit 1" }

// What 23.9.6 printed, and what it means.
func TestARefusalIsOneSentenceWithItsFailureAndTheNextStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		failure exitcode.Failure
		want    string
		unclear bool
	}{
		"no schedd":                     {"\nERROR: Can't find address of local schedd", exitcode.NoBatch, "Can't find address of local schedd", false},
		"schedd dying":                  {"\nERROR: Failed to connect to local queue manager\nSECMAN:2011:Connection closed during command authorization. Probably due to an unknown command.", exitcode.NoBatch, "Failed to connect", false},
		"not let in":                    {"\nERROR: Failed to connect to local queue manager\nAUTHENTICATE:1003:Failed to authenticate with any method", exitcode.NoCredential, "Failed to authenticate", false},
		"no expression":                 {"ERROR: Parse error in expression: \n\tRequirements = (((\n\t", exitcode.BatchRefused, "Parse error in expression: Requirements = (((", false},
		"rule of the site":              {"\nERROR: Failed to commit job submission into the queue.\nERROR: no jobs of ten cores here", exitcode.BatchRefused, "no jobs of ten cores here", false},
		"limit of the site":             {"\nERROR: Failed to create proc\nNumber of submitted jobs would exceed MAX_JOBS_PER_SUBMISSION", exitcode.BatchRefused, "MAX_JOBS_PER_SUBMISSION", false},
		"broken at the end":             {"\nERROR: Failed to commit job submission into the queue.", exitcode.NoBatch, "Failed to commit", true},
		"broken at the end, with words": {"\nERROR: Failed to commit job submission into the queue.\nERROR: SECMAN:2007:Failed to end classad message.", exitcode.NoBatch, "Failed to commit", true},
		"full disk":                     {"ERROR: Can't open \"/jobs/x.log\" with flags 0101 (No space left on device)", exitcode.SiteNoSpace, "/jobs/x.log", false},
		"nothing":                       {"", exitcode.BatchRefused, "condor_submit", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sub := submission(t)
			ids, err := fake(t, map[string]string{"condor_submit": printing(c.text)}).Submit(t.Context(), sub)
			if exitcode.From(err) != c.failure || len(ids) != 0 || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %v: %v", exitcode.From(err).Name, ids, err)
			}
			if exitcode.Next(err) == "" || errors.Is(err, harvester.ErrUnclear) != c.unclear {
				t.Errorf("unclear is %v; %s", errors.Is(err, harvester.ErrUnclear), exitcode.Next(err))
			}
			if made, _ := os.ReadDir(sub.Dir); (len(made) > 0) != c.unclear { // a job may still come and want them
				t.Errorf("%v", made)
			}
		})
	}
}

func TestALineThatIsRefusedIsNamed(t *testing.T) {
	t.Parallel()
	// The script finds the number, as condor_submit does.
	s := fake(t, map[string]string{"condor_submit": `n=$(grep -n '^what is this$' | cut -d: -f1); echo "ERROR: on Line $n of submit file: " >&2; exit 1`},
		func(c *htcondor.Config) { c.Submit = []string{"what is this"} })
	if _, err := s.Submit(t.Context(), submission(t)); exitcode.From(err) != exitcode.BatchRefused || !strings.Contains(err.Error(), `"what is this"`) {
		t.Error(err)
	}
}

func TestTheEnvironmentOfPilotsIsInNoError(t *testing.T) {
	t.Parallel()
	s := fake(t, map[string]string{"condor_submit": `n=$(grep -n '^environment' | cut -d: -f1); echo "ERROR: on Line $n of submit file: " >&2; exit 1`})
	sub := submission(t)
	sub.Env = []string{"TOKEN=hunter2"}
	if _, err := s.Submit(t.Context(), sub); exitcode.From(err) != exitcode.BatchRefused || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestWhatCannotBeAskedIsNoEmptyAnswer(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"it fails":                  printing("Error: (null)\n\nExtra Info: You probably saw this error because"),
		"it fails and says nothing": "exit 1",
		"it dies":                   "kill -9 $$",
		"it prints half an answer":  `echo '[ { "ClusterId": 1, "JobSta'`,
		"it prints something else":  "echo 'Extra Info: none'",
		"an ad without its number":  `echo '[ { "JobStatus": 2 } ]'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fake(t, map[string]string{"condor_q": text, "condor_history": text})
			if jobs, err := s.Queue(t.Context()); exitcode.From(err) != exitcode.NoBatch || jobs != nil {
				t.Errorf("queue: %v, %v", jobs, err)
			} else if strings.Contains(err.Error(), "Extra Info: You") {
				t.Error(err)
			}
			if past, err := s.History(t.Context(), []string{"1.0"}); exitcode.From(err) != exitcode.NoBatch || len(past) != 0 {
				t.Errorf("history: %v, %v", past, err)
			}
		})
	}
	s := fake(t, map[string]string{"condor_q": "exit 0", "condor_history": "printf '[\n]\n'"})
	if jobs, err := s.Queue(t.Context()); err != nil || len(jobs) != 0 {
		t.Errorf("an empty queue: %v, %v", jobs, err)
	}
	if past, err := s.History(t.Context(), []string{"1.0"}); err != nil || len(past) != 0 {
		t.Errorf("an empty history: %v, %v", past, err)
	}
}

func TestACommandThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	s := fake(t, map[string]string{"condor_submit": "trap '' TERM; while :; do sleep 1000; done", "condor_q": "exec sleep 1000", "condor_rm": "exec sleep 1000"},
		func(c *htcondor.Config) { c.Timeout = 100 * time.Millisecond })
	if ids, err := s.Submit(t.Context(), submission(t)); !errors.Is(err, harvester.ErrUnclear) || exitcode.From(err) != exitcode.NoBatch || len(ids) != 0 {
		t.Errorf("submit: %v, %v", ids, err)
	}
	if _, err := s.Queue(t.Context()); exitcode.From(err) != exitcode.NoBatch || errors.Is(err, harvester.ErrUnclear) {
		t.Errorf("queue: %v", err)
	}
	if err := s.Cancel(t.Context(), []string{"1.0"}); exitcode.From(err) != exitcode.NoBatch {
		t.Errorf("cancel: %v", err)
	}
}

func TestASubmissionThatIsInterruptedIsUnclear(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	s := fake(t, map[string]string{"condor_submit": "touch " + dir + "/begun; exec sleep 1000"})
	done := make(chan error, 1)
	go func() {
		_, err := s.Submit(ctx, submission(t))
		done <- err
	}()
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(filepath.Join(dir, "begun")); err == nil {
			break
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, harvester.ErrUnclear) {
		t.Error(err)
	}
}

func TestASubmissionWhoseCommandIsKilledIsUnclear(t *testing.T) {
	t.Parallel()
	s := fake(t, map[string]string{"condor_submit": "kill -9 $$"})
	sub := submission(t)
	if ids, err := s.Submit(t.Context(), sub); !errors.Is(err, harvester.ErrUnclear) || exitcode.From(err) != exitcode.NoBatch || ids != nil {
		t.Errorf("%v, %v", ids, err)
	}
	if made, err := os.ReadDir(sub.Dir); err != nil || len(made) != sub.Count { // a job may still come and want them
		t.Errorf("%v, %v", made, err)
	}
}

func TestCommandsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	_, err := s.Submit(t.Context(), submission(t))
	if exitcode.From(err) != exitcode.NoBatch || !strings.Contains(exitcode.Next(err), "set bin") || errors.Is(err, harvester.ErrUnclear) {
		t.Errorf("%v; %s", err, exitcode.Next(err))
	}
	found := s.Check(t.Context())
	if last := found[len(found)-1]; last.OK || last.What != "HTCondor's commands" || last.Next == "" {
		t.Errorf("%+v", found)
	}
}

func TestOnlyOurJobsAreMeantByACancel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := fake(t, map[string]string{"condor_rm": `printf '%s\n' "$@" >>` + dir + "/args"}, func(c *htcondor.Config) { c.Schedd, c.Pool = "sched", "cm:9618" })
	if err := s.Cancel(t.Context(), []string{"12.1", "alice", "12", "-all", "12.0", "7.3", "", "12.5"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	want := "-pool\ncm:9618\n-name\nsched\n-reason\ncancelled by the harvester\n-constraint\n" +
		"TfpilotTag =!= undefined && JobStatus != 3 && JobStatus != 4 && ((ClusterId == 7 && ProcId >= 3 && ProcId <= 3) || " +
		"(ClusterId == 12 && ProcId >= 0 && ProcId <= 1) || (ClusterId == 12 && ProcId >= 5 && ProcId <= 5))\n"
	if string(got) != want {
		t.Errorf("%s", got)
	}
	if err := os.Remove(filepath.Join(dir, "args")); err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), []string{"alice", "-all", "5", ""}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "args")); err == nil {
		t.Error("condor_rm was started for nobody")
	}
	// It fails when there is nothing to remove; that is no error.
	s = fake(t, map[string]string{"condor_rm": printing("Couldn't find/remove all jobs matching constraint (ClusterId == 1)")})
	if err := s.Cancel(t.Context(), []string{"1.0"}); err != nil {
		t.Error(err)
	}
	s = fake(t, map[string]string{"condor_rm": printing("SECMAN:2007:Failed to end classad message.\nCouldn't find/remove all jobs matching constraint (ClusterId == 1)")})
	if err := s.Cancel(t.Context(), []string{"1.0"}); exitcode.From(err) != exitcode.NoBatch {
		t.Error(err)
	}
}

func TestNoNumberOfJobsIsTooMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	call := `echo "$@" >>` + dir + `/calls`
	s := fake(t, map[string]string{"condor_rm": call, "condor_history": call})
	calls := func() (lines, jobs int) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err = errors.Join(err, os.Remove(filepath.Join(dir, "calls"))); err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(b), "\n"), strings.Count(string(b), "(ClusterId")
	}
	var scattered, inRows []string
	for i := range 10_000 {
		scattered = append(scattered, fmt.Sprintf("%d.%d", 7_000_000+i/20, 2*(i%20)))
		inRows = append(inRows, fmt.Sprintf("%d.%d", 7_000_000+i/20, i%20))
	}
	for _, c := range []struct {
		ids          []string
		lines, terms int
	}{{scattered, 10, 10_000}, {inRows, 1, 500}} {
		if err := s.Cancel(t.Context(), c.ids); err != nil {
			t.Fatal(err)
		}
		if lines, terms := calls(); lines != c.lines || terms != c.terms {
			t.Errorf("condor_rm: %d commands with %d terms, want %+v", lines, terms, c.lines)
		}
		if _, err := s.History(t.Context(), c.ids); err != nil {
			t.Fatal(err)
		}
		if lines, terms := calls(); lines != c.lines || terms != c.terms {
			t.Errorf("condor_history: %d commands with %d terms, want %+v", lines, terms, c.lines)
		}
	}
}

func TestWhoWaitsIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := fake(t, map[string]string{"condor_q": `case "$*" in
*better-analyze*) echo asked >>` + dir + `/asked; cat ` + abs(t, "testdata/better-analyze-23.9.6-big.txt") + `;;
*) echo '[ {"ClusterId": 42, "ProcId": 0, "TfpilotTag": "tfpilot-x", "JobStatus": 1, "QDate": 1000, "LastRejMatchTime": 1100, "LastRejMatchReason": "no match found "},
{"ClusterId": 42, "ProcId": 1, "TfpilotTag": "tfpilot-x", "JobStatus": 1, "QDate": 1000, "LastRejMatchTime": 1100, "LastRejMatchReason": "no match found "} ]';;
esac`})
	for range 3 {
		jobs, err := s.Queue(t.Context())
		if err != nil || len(jobs) != 2 {
			t.Fatalf("%v, %v", jobs, err)
		}
		for _, j := range jobs {
			if want := "no slot fulfils now: TARGET.Memory >= RequestMemory, where RequestMemory = 9216000 (mb)"; j.Reason != want {
				t.Errorf("%s: %q", j.ID, j.Reason)
			}
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "asked")); err != nil || string(b) != "asked\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func abs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATagThatIsNoneOfOursIsNoJobOfOurs(t *testing.T) {
	t.Parallel()
	s := fake(t, map[string]string{"condor_q": `echo '[ {"ClusterId": 1, "ProcId": 0, "TfpilotTag": "tfpilot-x/../../home", "JobStatus": 2},
{"ClusterId": 2, "ProcId": 0, "TfpilotTag": "tfpilot-", "JobStatus": 2}, {"ClusterId": 3, "ProcId": 0, "TfpilotTag": "tfpilot-x-y", "JobStatus": 2} ]'`})
	if jobs, err := s.Queue(t.Context()); err != nil || len(jobs) != 1 || jobs[0].ID != "3.0" {
		t.Errorf("%+v, %v", jobs, err)
	}
}
