package htcondor_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
	"tfpilot/internal/exitcode"
)

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What a real condor_q said of jobs to which all this had happened.
func TestWhatHTCondorSaysOfItsJobs(t *testing.T) {
	t.Parallel()
	jobs, err := htcondor.ParseJobs(read(t, "condor_q-23.9.6.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]harvester.Status{}
	for _, j := range jobs {
		got[fmt.Sprintf("%s.%d", j.Tag, j.Index)] = j.Status
	}
	for worker, want := range map[string]struct {
		state  harvester.State
		native string
		cause  exitcode.Failure
		exit   int
		signal int
		reason string
	}{
		"tfpilot-rejected.0":  {harvester.Queued, "1 (idle)", exitcode.OK, -1, 0, "no match found"},
		"tfpilot-exit.0":      {harvester.Ended, "4 (completed)", exitcode.OK, 7, 0, "status 7"},
		"tfpilot-exit.1":      {harvester.Ended, "4 (completed)", exitcode.OK, 7, 0, "status 7"},
		"tfpilot-signal.0":    {harvester.Ended, "4 (completed)", exitcode.OK, -1, 9, "SIGKILL"},
		"tfpilot-walltime.0":  {harvester.Ended, "3 (removed)", exitcode.Walltime, -1, 0, "at the end of its wall time of 3s"},
		"tfpilot-evicted.0":   {harvester.Ended, "3 (removed)", exitcode.Preempted, -1, 0, "the machine gave it up (vacate code 1005)"},
		"tfpilot-noprogram.0": {harvester.Ended, "3 (removed)", exitcode.LaunchFailed, -1, 0, "could not start the program: Error from"},
		"tfpilot-memory.0":    {harvester.Ended, "3 (removed)", exitcode.SlotMemory, -1, 0, "cgroup memory limit of 2048 megabytes (hold code 34)"},
		"tfpilot-userhold.0":  {harvester.Held, "5 (held)", exitcode.OK, -1, 0, "held by a user: not today"},
		"tfpilot-removed.0":   {harvester.Ended, "3 (removed)", exitcode.Cancelled, -1, 15, "via condor_rm"},
		"tfpilot-held.0":      {harvester.Held, "5 (held)", exitcode.OK, -1, 0, "could not start the program"},
		"tfpilot-running.0":   {harvester.Running, "2 (running)", exitcode.OK, -1, 0, ""},
		"tfpilot-suspended.0": {harvester.Suspended, "7 (suspended)", exitcode.OK, -1, 0, "suspended"},
		"tfpilot-ending.0":    {harvester.Ending, "3 (removed)", exitcode.Cancelled, -1, 0, "via condor_rm"},
	} {
		st, ok := got[worker]
		if !ok || st.State != want.state || st.Native != want.native || st.Cause.Code != want.cause.Code || st.ExitCode != want.exit ||
			st.Signal != want.signal || !strings.Contains(st.Reason, want.reason) {
			t.Errorf("%s: %+v", worker, st)
		}
		if st.QueuedAt.IsZero() || st.State == harvester.Ended && st.EndedAt.IsZero() || st.State != harvester.Ended && !st.EndedAt.IsZero() {
			t.Errorf("%s: queued %s, ended %s", worker, st.QueuedAt, st.EndedAt)
		}
	}
	run := got["tfpilot-running.0"]
	if !strings.HasPrefix(run.Node, "nodeb@") || run.Starts != 1 || run.EndsAt.Sub(run.StartedAt) != 3*time.Second {
		t.Errorf("%+v", run)
	}
}

// job is the status of one job with these attributes.
func job(t *testing.T, attributes string) harvester.Status {
	t.Helper()
	jobs, err := htcondor.ParseJobs([]byte(`[{"ClusterId": 1, "ProcId": 0, ` + attributes + `}]`))
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%v, %v", jobs, err)
	}
	return jobs[0].Status
}

func TestAnUnknownStatusIsSaidAndCountsAsAlive(t *testing.T) {
	t.Parallel()
	if st := job(t, `"JobStatus": 8`); st.State != harvester.Unknown || !st.State.Live() || !strings.Contains(st.Reason, "JobStatus 8") {
		t.Errorf("%+v", st)
	}
	// An expression where a value should be, as in an ad that somebody has edited.
	if st := job(t, `"JobStatus": 2, "JobStartDate": "\/Expr(time())\/", "RemoteHost": "s@n", "LastRemoteHost": null, "NumJobStarts": 1e300`); st.State != harvester.Running || !st.StartedAt.IsZero() {
		t.Errorf("%+v", st)
	}
}

func TestEveryHoldHasItsWordsAndItsCause(t *testing.T) {
	t.Parallel()
	// All that 23.9.6 knows, but for those of the universes of EC2 and Globus.
	codes := slices.Concat(between(3, 28), between(32, 36), between(43, 48))
	causes := map[int]exitcode.Failure{3: exitcode.Cancelled, 15: exitcode.Cancelled, 26: exitcode.Cancelled, 34: exitcode.SlotMemory, 46: exitcode.Walltime, 47: exitcode.Walltime}
	for _, code := range codes {
		held := job(t, fmt.Sprintf(`"JobStatus": 5, "HoldReasonCode": %d, "HoldReason": "its words"`, code))
		if held.State != harvester.Held || !strings.HasSuffix(held.Reason, fmt.Sprintf(": its words (hold code %d)", code)) {
			t.Errorf("%+v", held)
		}
		gone := job(t, fmt.Sprintf(`"JobStatus": 3, "LastJobStatus": 5, "LastHoldReasonCode": %d, "RemoveReason": "PeriodicRemove ... evaluated to TRUE"`, code))
		want := exitcode.LaunchFailed
		if c, ok := causes[code]; ok {
			want = c
		}
		if gone.State != harvester.Ended || gone.Cause.Code != want.Code {
			t.Errorf("%d: %+v", code, gone)
		}
	}
	if st := job(t, `"JobStatus": 5, "HoldReasonCode": 99, "HoldReason": "new"`); st.State != harvester.Held || st.Reason != "new (hold code 99)" {
		t.Errorf("%+v", st)
	}
}

func TestEveryEvictionHasItsCause(t *testing.T) {
	t.Parallel()
	causes := map[int]exitcode.Failure{1023: exitcode.Cancelled}
	for _, code := range []int{1002, 1008, 1012, 1013} {
		causes[code] = exitcode.NodeFailed
	}
	for _, code := range append([]int{1003, 1006, 1007, 1020, 1021, 1024}, between(1026, 1036)...) {
		causes[code] = exitcode.LaunchFailed
	}
	causes[34] = exitcode.SlotMemory // by a policy that evicts instead of holding
	for _, code := range append(between(1000, 1040), 0, 34) {
		want, ok := causes[code]
		if !ok {
			want = exitcode.Preempted
		}
		st := job(t, fmt.Sprintf(`"JobStatus": 3, "LastJobStatus": 1, "NumShadowStarts": 1, "VacateReasonCode": %d, "RemoveReason": "PeriodicRemove ... evaluated to TRUE"`, code))
		if st.Cause.Code != want.Code || st.Starts != 1 || !strings.HasPrefix(st.Reason, "evicted") {
			t.Errorf("%d: %+v", code, st)
		}
	}
}

func TestAPilotThatWaitsToBeStartedAgainSaysSo(t *testing.T) {
	t.Parallel()
	st := job(t, `"JobStatus": 1, "NumShadowStarts": 1, "NumJobStarts": 1, "VacateReasonCode": 1014, "JobStartDate": 1000`)
	if st.State != harvester.Queued || !strings.Contains(st.Reason, "drained") || !st.StartedAt.IsZero() {
		t.Errorf("%+v", st)
	}
}

func TestAPilotRunsWhenItIsOnANode(t *testing.T) {
	t.Parallel()
	if st := job(t, `"JobStatus": 2, "JobUniverse": 5`); st.State != harvester.Queued || st.Reason == "" {
		t.Errorf("%+v", st)
	}
	if st := job(t, `"JobStatus": 2, "JobUniverse": 5, "NumShadowStarts": 1`); st.State != harvester.Running {
		t.Errorf("after a restart of the schedd: %+v", st)
	}
}

func TestAPilotBehindACE(t *testing.T) {
	t.Parallel()
	if st := job(t, `"JobStatus": 1, "JobUniverse": 9, "GridJobStatus": "IDLE"`); st.State != harvester.Queued || st.Reason != "at the CE it is IDLE" {
		t.Errorf("%+v", st)
	}
	st := job(t, `"JobStatus": 2, "JobUniverse": 9, "GridJobStatus": "RUNNING", "EnteredCurrentStatus": 1000, "TfpilotWallTime": 60`)
	if st.State != harvester.Running || st.StartedAt.Unix() != 1000 || st.EndsAt.Unix() != 1060 {
		t.Errorf("%+v", st)
	}
}

func TestAnAnalysisNamesTheConditionThatNoSlotFulfils(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"better-analyze-23.9.6-big.txt":     "no slot fulfils now: TARGET.Memory >= RequestMemory, where RequestMemory = 9216000 (mb)",
		"better-analyze-23.9.6-bigboth.txt": `no slot fulfils now: (TARGET.Name == "a") || (TARGET.Foo > 3)`,
	} {
		if got := htcondor.Analyze(read(t, file)); got != want {
			t.Errorf("%s: %s", file, got)
		}
	}
	for text, want := range map[string]string{
		"[0]           0  A\n[1]           2  B\n[2]           2  [0] || [1]\n":                                "2 slots fulfil what a pilot asks for",
		"[0]           1  A\n[1]           0  B\n[3]           2  C\n[4]           2  [0] || [3]\n[6]  3  D\n": "2 slots fulfil what a pilot asks for",
		"": "HTCondor does not say which slots fulfil what a pilot asks for",
	} {
		if got := htcondor.Analyze([]byte(text)); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestIDsAreReadFromWhatASubmissionPrints(t *testing.T) {
	t.Parallel()
	if ids, err := htcondor.Submitted([]byte("12.0 - 12.2\n"), 3); err != nil || !cmp.Equal(ids, []string{"12.0", "12.1", "12.2"}) {
		t.Errorf("%v, %v", ids, err)
	}
	for _, out := range []string{"", "12.0 - 12.1\n", "12.0 - 13.2\n", "Submitting job(s)...", "12.0 - 12.99999999999999999999\n"} {
		if ids, err := htcondor.Submitted([]byte(out), 3); err == nil {
			t.Errorf("%q: %v", out, ids)
		}
	}
}

func between(first, last int) []int {
	var all []int
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return all
}
