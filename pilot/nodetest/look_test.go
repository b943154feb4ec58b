package nodetest_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/pilot/nodetest"
)

func TestAHealthyNodeIsFit(t *testing.T) {
	t.Parallel()
	var work string
	findings := newTests(t, nodetest.Config{MinDiskMB: 1, MinInodes: 1}, func(p *nodetest.Places) {
		work, p.JournalDir = p.WorkDir, filepath.Join(p.WorkDir, "to", "be", "made")
	}).Test(t.Context(), false)
	if err := nodetest.Err(findings); err != nil || len(findings) < 3 {
		t.Errorf("%v: %+v", err, findings)
	}
	for _, f := range findings {
		if f.Verdict != fitness.OK || f.Found == "" {
			t.Errorf("%+v", f)
		}
	}
	left, err := os.ReadDir(work)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}

// Ended at the moment that a file appears, if one ever does, as by a pilot that has to leave at once.
func TestAnExaminationThatIsEndedLeavesNoFile(t *testing.T) {
	t.Parallel()
	for range 20 {
		var work string
		tests := newTests(t, nodetest.Config{}, func(p *nodetest.Places) { work = p.WorkDir })
		watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		must(t, err)
		_, err = unix.InotifyAddWatch(watch, work, unix.IN_CREATE)
		must(t, err)
		events := os.NewFile(uintptr(watch), "inotify")
		end := tests.Begin(t.Context())
		appeared := make(chan struct{})
		go func() {
			defer close(appeared)
			_, _ = events.Read(make([]byte, unix.SizeofInotifyEvent+unix.NAME_MAX+1)) // or is closed
			end()
		}()
		tests.Test(t.Context(), false)
		must(t, events.Close())
		<-appeared
		if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
			t.Fatalf("%v %v", left, err)
		}
	}
}

// A FIFO without a writer: to open it hangs, as it does on a dead file server.
func TestAFileSystemThatHangsIsAResultAndHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "repository")
	must(t, syscall.Mkfifo(fifo, 0o600))
	tests := newTests(t, nodetest.Config{CVMFS: []string{fifo, t.TempDir()}, Limit: aMoment})
	var hung, others int
	findings := tests.Test(t.Context(), false)
	for _, f := range findings {
		switch {
		case strings.Contains(f.Found, fifo+": no answer within 5s: the file system hangs") && f.Verdict == fitness.Bad && f.Next != "":
			hung++
		case f.Verdict == fitness.OK, strings.Contains(f.Found, "is empty: it is not mounted"):
			others++
		}
	}
	if hung != 1 || others != len(findings)-1 {
		t.Errorf("%+v", findings)
	}
	if err := nodetest.Err(findings); exitcode.From(err) != exitcode.NodeUnfit {
		t.Error(err)
	}
}

func TestWhatIsMissingOnTheNodeIsNamedWithTheNextStep(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	repository := t.TempDir()
	must(t, os.WriteFile(filepath.Join(repository, "x"), nil, 0o600))
	for name, c := range map[string]struct {
		cfg     nodetest.Config
		work    string
		test    string
		verdict fitness.Verdict
		found   string
	}{
		"no folder for work":      {nodetest.Config{}, filepath.Join(file, "work"), "work_dir", fitness.Bad, "not a directory"},
		"too little room":         {nodetest.Config{MinDiskMB: 1 << 40}, "", "disk", fitness.Bad, "are needed"},
		"too few files":           {nodetest.Config{MinInodes: 1 << 60}, "", "inodes", fitness.Bad, "are needed"},
		"of which one only warns": {nodetest.Config{MinDiskMB: 1 << 40, Warn: []string{"disk"}}, "", "disk", fitness.Warning, "are needed"},
		"no repository":           {nodetest.Config{CVMFS: []string{"no.such.repository"}}, "", "cvmfs", fitness.Bad, "/cvmfs/no.such.repository"},
		"a repository":            {nodetest.Config{CVMFS: []string{repository}}, "", "cvmfs", fitness.OK, repository},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, ok := examine(t, c.cfg, func(p *nodetest.Places) {
				if c.work != "" {
					p.WorkDir = c.work
				}
			})[c.test]
			if !ok && c.test == "inodes" {
				return // a file system that makes them as they are needed
			}
			if f.Verdict != c.verdict || !strings.Contains(f.Found, c.found) || c.verdict != fitness.OK && f.Next == "" {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestAGPUMattersOnlyWhereOneIsAskedFor(t *testing.T) {
	t.Parallel()
	devices, _ := filepath.Glob("/dev/nvidia[0-9]*")
	if _, tested := examine(t, nodetest.Config{})["gpu"]; tested && os.Getenv("CUDA_VISIBLE_DEVICES") == "" {
		t.Error("nobody has asked for it")
	}
	f := examine(t, nodetest.Config{Need: []string{"gpu"}})["gpu"]
	if len(devices) == 0 && (f.Verdict != fitness.Bad || !strings.Contains(f.Found, "no GPU")) || f.Verdict == "" {
		t.Errorf("%+v", f)
	}
	f = byName(newTests(t, nodetest.Config{}).Check(t.Context(), nodetest.Around{}))["gpu"]
	if len(devices) == 0 && f.Verdict != fitness.NotNeeded {
		t.Errorf("%+v", f)
	}
}

func TestUserNamespacesAndContainersAreTriedNotAssumed(t *testing.T) {
	t.Parallel()
	found := byName(newTests(t, nodetest.Config{}).Check(t.Context(), nodetest.Around{}))
	for _, name := range []string{"userns", "container"} {
		if f := found[name]; f.Found == "" || f.Verdict == fitness.Bad {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefusedByName(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]nodetest.Config{
		`--node-need "tpu" is none of container, userns, gpu`: {Need: []string{"tpu"}, Limit: 1e9},
		`--node-warn "dsik" is none of work_dir`:              {Warn: []string{"dsik"}, Limit: 1e9},
		`both name "clock"`:                                   {Warn: []string{"clock"}, Fatal: []string{"clock"}, Limit: 1e9},
		`--node-cvmfs "a/b"`:                                  {CVMFS: []string{"a/b"}, Limit: 1e9},
		`--node-limit 0s`:                                     {},
	} {
		if _, err := nodetest.New(nodetest.Places{}, cfg); exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestAChildIsKnownByItsArgumentsAndNeverByAnotherName(t *testing.T) {
	t.Parallel()
	if !nodetest.IsChild([]string{"/proc/self/exe", nodetest.Command, "none", "now"}) {
		t.Error("a child is not known")
	}
	for _, argv := range [][]string{{"pilot", nodetest.Command}, {"./run_prompt_wrapper", nodetest.Command, "look", "now"}, {"/proc/self/exe"}, {"/proc/self/exe", "run"}} {
		if nodetest.IsChild(argv) {
			t.Errorf("%v is taken for a child", argv)
		}
	}
}
