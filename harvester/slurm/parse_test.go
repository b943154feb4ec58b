package slurm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
)

func recorded(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// said is what matters of a status, in a line.
func said(st harvester.Status) string {
	text := fmt.Sprintf("%s exit %d signal %d", st.State, st.ExitCode, st.Signal)
	if st.Cause.Code != 0 {
		text += " " + st.Cause.Name
	}
	return fmt.Sprintf("%s node %q starts %d; %s", text, st.Node, st.Starts, st.Reason)
}

func TestTheQueueIsReadAsBothVersionsPrintIt(t *testing.T) {
	t.Parallel()
	const killed = "killed by SIGKILL (9): usually the batch system's memory or time limit, or the kernel out of memory"
	for version, node := range map[string]string{"22.05.8": "n1", "24.11.5": "n3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			jobs, _, err := slurm.ParseQueue(recorded(t, "squeue-"+version+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, j := range jobs {
				got[fmt.Sprintf("%s.%d", j.Tag, j.Index)] = said(j.Status)
			}
			on := fmt.Sprintf("node %q starts 1; ", node)
			want := map[string]string{
				"tfpilot-ok.0": "ended exit 0 signal 0 " + on + "ok: all is well", "tfpilot-killed.0": "ended exit -1 signal 9 " + on + killed,
				"tfpilot-mem.0": "ended exit -1 signal 9 " + on + killed, "tfpilot-susp.0": "suspended exit -1 signal 0 " + on + "suspended by Slurm",
				"tfpilot-begin.0":   `queued exit -1 signal 0 node "" starts 0; BeginTime`,
				"tfpilot-requeue.0": `queued exit -1 signal 0 node "" starts 1; BeginTime`,
			}
			for i := range 6 {
				id := fmt.Sprintf(".%d", i)
				want["tfpilot-limit"+id] = `queued exit -1 signal 0 node "" starts 0; JobArrayTaskLimit`
				want["tfpilot-cancelme"+id] = `ended exit -1 signal 0 cancelled node "" starts 0; cancelled before it started`
				if i < 3 {
					want["tfpilot-held"+id] = `held exit -1 signal 0 node "" starts 0; JobHeldUser`
				}
				if i < 2 {
					want["tfpilot-exits"+id] = "ended exit 3 signal 0 " + on + "status 3, which is none of tfpilot's: that of a script around it, or of the batch system"
					want["tfpilot-run"+id] = "running exit -1 signal 0 " + on
					want["tfpilot-limit"+id] = "running exit -1 signal 0 " + on
					want["tfpilot-cancelme"+id] = "ending exit -1 signal 0 " + on
				}
			}
			want["tfpilot-noout.0"] = "ended exit -1 signal 0 launch_failed " + on +
				"its node could not open its output file: the node does not see the state folder, may not write to it, or finds its disk full"
			if version == "24.11.5" { // which makes the folder
				want["tfpilot-noout.0"] = want["tfpilot-ok.0"]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for _, j := range jobs {
				if timed := !j.StartedAt.IsZero(); timed != (j.Node != "") || j.QueuedAt.IsZero() || j.EndsAt.IsZero() == (j.State == harvester.Running || j.State == harvester.Suspended) {
					t.Errorf("times of %s: %+v", j.Tag, j.Status)
				}
			}
		})
	}
}

func TestHistoryTellsEndsAlsoOfTasksThatNeverStarted(t *testing.T) {
	t.Parallel()
	ids := []string{"133_0", "134_1", "135_0", "137_0", "139_1", "141_0", "147_0", "147_3", "147_5", "147_6", "148_0", "146", "no-such"}
	past, err := slurm.ParseHistory(recorded(t, "sacct-22.05.8.txt"), ids)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, st := range past {
		got[id] = said(st)
	}
	want := map[string]string{
		"133_0": `ended exit 0 signal 0 node "n1" starts 1; ok: all is well`,
		"134_1": `ended exit 3 signal 0 node "n1" starts 1; status 3, which is none of tfpilot's: that of a script around it, or of the batch system`,
		"135_0": `ended exit -1 signal 9 node "n1" starts 1; killed by SIGKILL (9): usually the batch system's memory or time limit, or the kernel out of memory`,
		"141_0": `ended exit -1 signal 0 launch_failed node "n1" starts 1; its node could not open its output file: the node does not see the state folder, may not write to it, or finds its disk full`,
		"147_0": `ended exit -1 signal 0 cancelled node "n1" starts 1; cancelled by user 0`,
		"147_3": `ended exit -1 signal 0 cancelled node "" starts 0; cancelled before it started by user 0`,
		"147_5": `ended exit -1 signal 0 cancelled node "" starts 0; cancelled before it started by user 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnArrayThatWasCancelledBeforeAccountingHadHeardOfItsTasksHasEnded(t *testing.T) {
	t.Parallel()
	const text = "13|CANCELLED by 0|0:0|1795648361|None|1795648365|tfpilot-a|None assigned|None\n" +
		"13_1|COMPLETED|0:0|1795648361|1795648362|1795648363|tfpilot-a|n1|None\n" +
		"14|PENDING|0:0|1795648361|Unknown|Unknown|tfpilot-b|None assigned|None\n" +
		"15|CANCELLED by 0|0:0|1795648361|None|1795648365|somebody's|None assigned|None\n"
	past, err := slurm.ParseHistory(text, []string{"13_0", "13_1", "14_0", "15_0"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, st := range past {
		got[id] = said(st)
	}
	want := map[string]string{
		"13_0": `ended exit -1 signal 0 cancelled node "" starts 0; cancelled before it started by user 0`,
		"13_1": `ended exit 0 signal 0 node "n1" starts 1; ok: all is well`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnEndThatAccountingHasOnlyHalfHeardOfIsNoneYet(t *testing.T) {
	t.Parallel()
	past, err := slurm.ParseHistory("16_0|FAILED|0:0|1795648361|1795648362|Unknown|tfpilot-x|n1|None\n", []string{"16_0"})
	if err != nil || len(past) != 0 {
		t.Errorf("%+v, %v", past, err)
	}
}

// words are all names that Slurm 24.11 has for states and flags (job_state_string and job_state_flag_string in its sources), with
// those of other versions since 20.11.
const words = `PENDING RUNNING SUSPENDED COMPLETED CANCELLED FAILED TIMEOUT NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE OUT_OF_MEMORY
	LAUNCH_FAILED REQUEUED REQUEUE_HOLD SPECIAL_EXIT RESIZING CONFIGURING COMPLETING STOPPED RECONFIG_FAIL POWER_UP_NODE REVOKED
	REQUEUE_FED RESV_DEL_HOLD SIGNALING STAGE_OUT EXPEDITING`

func TestEveryStateOfSlurmHasItsMeaningAndOthersAreUnknown(t *testing.T) {
	t.Parallel()
	line := recorded(t, "squeue-24.11.5.txt")
	line = regexp.MustCompile(`(?m)^.*tfpilot-ok.*\n`).FindString(line)
	for _, word := range append(strings.Fields(words), "COMPOSTING") {
		jobs, _, err := slurm.ParseQueue(strings.Replace(line, "COMPLETED ", word+" ", 1))
		if err != nil || len(jobs) != 1 {
			t.Fatal(word, err, jobs)
		}
		st := jobs[0].Status
		if unknown := st.State == harvester.Unknown; unknown != (word == "COMPOSTING") || st.Native != word || unknown && !strings.Contains(st.Reason, word) {
			t.Errorf("%s: %+v", word, st)
		}
		if !st.State.Live() && word != "COMPLETED" && word != "FAILED" && st.Cause.Code == 0 {
			t.Errorf("%s has no cause", word)
		}
	}
}

func TestWhatCannotBeReadIsAnErrorAndNoEmptyQueue(t *testing.T) {
	t.Parallel()
	good := recorded(t, "squeue-22.05.8.txt")
	for name, text := range map[string]string{
		"a greeting":       "Welcome to the cluster\n" + good,
		"a cut line":       good[:len(good)-200],
		"a status":         strings.Replace(good, "|768 ", "|x68 ", 1),
		"an error message": "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
	} {
		if jobs, _, err := slurm.ParseQueue(text); err == nil || jobs != nil {
			t.Errorf("%s: %d jobs, %v", name, len(jobs), err)
		}
	}
	if _, err := slurm.ParseHistory("1_0|COMPLETED\n", []string{"1_0"}); err == nil {
		t.Error("a line of accounting with two fields passes")
	}
}

func TestWhatAUserCallsOtherJobsIsNoMatter(t *testing.T) {
	t.Parallel()
	good := recorded(t, "squeue-22.05.8.txt")
	want, _, err := slurm.ParseQueue(good)
	if err != nil {
		t.Fatal(err)
	}
	// As 22.05.8 prints what was called so.
	name := func(text string) string {
		return fmt.Sprintf("7                   |0           |RUNNING             |0           |0       |1795651763      |1795651763      |NONE            |%-64s|n1    |None    |\n", text)
	}
	for _, other := range []string{"odd\nname", "\n\n", "a|b|tfpilot-x", "tfpilot-evil|x", "tfpilot-two\nlines", "tfpilot-../../home", "tfpilot-*", "tfpilot-", "tfpilot-My"} {
		got, _, err := slurm.ParseQueue(name(other) + good + name(other))
		if err != nil {
			t.Errorf("%q: %v", other, err)
		}
		got = slices.DeleteFunc(got, func(j harvester.Job) bool { return other == "tfpilot-evil|x" && j.Tag == "tfpilot-evil" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", other, diff)
		}
	}
}

func FuzzQueue(f *testing.F) {
	for _, v := range []string{"22.05.8", "24.11.5"} {
		f.Add(recorded(f, "squeue-"+v+".txt"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		jobs, _, err := slurm.ParseQueue(text)
		if err != nil && jobs != nil {
			t.Error("jobs and an error")
		}
		for _, j := range jobs {
			if j.ID == "" || !harvester.IsTag(j.Tag) || j.Index < 0 || j.State == "" || j.Native == "" && j.State != harvester.Unknown {
				t.Errorf("%+v", j)
			}
		}
	})
}

func FuzzHistory(f *testing.F) {
	f.Add(recorded(f, "sacct-22.05.8.txt"))
	ids := []string{"133_0", "139_1", "147_3", "140_4"}
	f.Fuzz(func(t *testing.T, text string) {
		past, err := slurm.ParseHistory(text, ids)
		if err != nil && past != nil || len(past) > len(ids) {
			t.Errorf("%d and %v", len(past), err)
		}
		for id, st := range past {
			if st.State != harvester.Ended {
				t.Errorf("%s: %+v", id, st)
			}
		}
	})
}

func FuzzSubmitted(f *testing.F) {
	f.Add("4711\n")
	f.Add("4711;cluster\n")
	f.Add("Welcome\n12\n")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := slurm.Submitted(text)
		if err == nil && (id == "" || strings.Trim(id, "0123456789") != "") {
			t.Errorf("id %q of %q", id, text)
		}
	})
}
