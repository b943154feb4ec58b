package keeper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/cgroup"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
)

const megabyte = 1_000_000

func TestTimeIsLimited(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			// A shell on a busy machine takes its time to come to its trap.
			res, err := keepers(t, kind).Run(t.Context(), sh("trap '' TERM; while :; do sleep 0.01; done"), keeper.Limits{Time: 2 * time.Second})
			if err != nil || !errors.Is(res.Stopped, keeper.ErrTime) || !res.Ended || res.Signal != "killed" || res.Wall < 3*time.Second {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

// Batch systems suspend whole jobs: who stops alone does not hold a slot for ever.
func TestAProgramThatStopsItselfUsesItsTime(t *testing.T) {
	t.Parallel()
	res, err := keepers(t, keeper.Session).Run(t.Context(), sh("kill -STOP $$; exit 5"), keeper.Limits{Time: 500 * time.Millisecond})
	if err != nil || !errors.Is(res.Stopped, keeper.ErrTime) || !res.Ended {
		t.Errorf("%+v, %v", res, err)
	}
}

// resumeAfter lets processes go on that have been stopped for a time.
func resumeAfter(t *testing.T, d time.Duration, pids func() []int) {
	t.Helper()
	var since time.Time
	await(t, "the end of the pause", func() bool {
		for _, pid := range pids() {
			if s, ok := proc.Look(pid); ok && s.Stopped && since.IsZero() {
				since = time.Now()
			}
		}
		return !since.IsZero() && time.Since(since) > d
	})
	for _, pid := range pids() {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

// As a batch system suspends a job: everything of it stops and goes on.
func TestAPilotThatIsStoppedWithItsProgramDoesNotEndItForItsTime(t *testing.T) {
	t.Parallel()
	ready, on := filepath.Join(t.TempDir(), "ready"), filepath.Join(t.TempDir(), "on")
	p := startPilot(t, keeper.Session, "echo >"+ready+"; while ! [ -e "+on+" ]; do sleep 0.05; done; exit 5", "LIMIT=2s")
	var out bytes.Buffer
	p.Stdout = &out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the program", func() bool { _, err := os.Stat(ready); return err == nil })
	all := append([]int{p.Process.Pid}, proc.Descendants(p.Process.Pid)...)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // a sleep may be over
	}
	resumeAfter(t, 4*time.Second, func() []int { return all })
	if err := os.WriteFile(on, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	var res keeper.Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil || res.Ended || res.ExitCode != 5 {
		t.Errorf("%s, %v", &out, err)
	}
}

func TestMemoryIsLimitedWithoutAControlGroupToo(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			res, err := keepers(t, kind).Run(t.Context(), sh("setsid tail /dev/zero & wait"), keeper.Limits{MemoryBytes: 80 * megabyte})
			if err != nil || !errors.Is(res.Stopped, keeper.ErrMemory) || res.PeakBytes <= 80*megabyte || res.OutOfMemory {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

func TestTheKernelLimitsMemoryWhereItCan(t *testing.T) {
	t.Parallel()
	limitedGroup(t, 80*megabyte)
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			keepers(t, kind)
			k, err := keeper.New(kind, 80*megabyte)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(k.Close)
			res, err := k.Run(t.Context(), sh("tail /dev/zero; exit $?"), keeper.Limits{})
			if err != nil || res.ExitCode != 137 || !res.OutOfMemory || res.SlotOutOfMemory || res.Stopped != nil {
				t.Errorf("%+v, %v", res, err)
			}
			res, err = k.Run(t.Context(), sh("kill -KILL $$"), keeper.Limits{})
			if err != nil || res.Signal != "killed" || res.OutOfMemory {
				t.Errorf("the next program: %+v, %v", res, err)
			}
		})
	}
}

// limitedGroup is a control group whose memory the kernel limits.
func limitedGroup(t *testing.T, memory int64) *cgroup.Group {
	t.Helper()
	g, err := cgroup.Make(memory)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if !g.Limited() {
		t.Skip("control groups here do not limit memory")
	}
	return g
}

// The pilot is in a group of a batch system, and its payload takes all of it: the kernel takes the payload, not the pilot.
func TestAKernelOutOfMemoryInTheSlotTakesTheProgramAndIsSeen(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			keepers(t, kind)
			g := limitedGroup(t, 120*megabyte)
			p := startPilot(t, kind, "exec tail /dev/zero")
			in, err := p.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			p.Stdout = &out
			if err := errors.Join(p.Start(), g.Add(p.Process.Pid), in.Close()); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
			var res keeper.Result
			if err := json.Unmarshal(out.Bytes(), &res); err != nil || res.Signal != "killed" || !res.SlotOutOfMemory || res.OutOfMemory || res.Ended {
				t.Errorf("%s, %v", &out, err)
			}
		})
	}
}

func TestTheKernelIsOfferedTheProgramBeforeThePilot(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			own, err := os.ReadFile("/proc/self/oom_score_adj")
			if err != nil {
				t.Fatal(err)
			}
			// The keeper takes it back for itself, when the program has begun.
			out := proc.NewCapture(100, 0)
			c := sh(`until [ "$(cat /proc/$PPID/oom_score_adj)" = ` + strings.TrimSpace(string(own)) + ` ]; do sleep 0.01; done; cat /proc/self/oom_score_adj`)
			c.Stdout = out
			res, err := keepers(t, kind).Run(t.Context(), c, keeper.Limits{Time: time.Minute})
			if err != nil || res.ExitCode != 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			if score, err := strconv.Atoi(strings.TrimSpace(out.String())); err != nil || score < 500 {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

func TestSharedMemoryCountsOnceAndTheTreeIsCounted(t *testing.T) {
	t.Parallel()
	// The three shells share the text; each has a sleep.
	res, err := keepers(t, keeper.Session).Run(t.Context(),
		sh(`x=$(head -c 60000000 /dev/zero | tr '\0' x); (sleep 1.5; :) & (sleep 1.5; :) & sleep 1.5; wait; echo ${#x}`), keeper.Limits{})
	if err != nil || res.PeakBytes < 60*megabyte || res.PeakBytes > 150*megabyte || res.Processes < 4 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestSamplesFollowAProgram(t *testing.T) {
	t.Parallel()
	var samples []keeper.Sample
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := keepers(t, keeper.Session).Run(ctx, sh("sleep 300 & while :; do :; done"), keeper.Limits{Sample: func(s keeper.Sample) {
		if samples = append(samples, s); s.CPU > 50*time.Millisecond && s.Processes > 1 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	first, last := samples[0], samples[len(samples)-1]
	if len(samples) < 2 || last.Bytes <= 0 || last.CPU <= first.CPU || !last.At.After(first.At) {
		t.Errorf("%d samples, from %+v to %+v", len(samples), first, last)
	}
}

func TestTimeOfProcessorsIsThatOfAllProcesses(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			// A daemon that is killed at the end counts as well.
			file := filepath.Join(t.TempDir(), "x")
			res, err := keepers(t, kind).Run(t.Context(), sh(`setsid sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo >`+file+`; sleep 300' &
				while ! [ -e `+file+` ]; do sleep 0.01; done`), keeper.Limits{})
			if err != nil || res.User+res.System < 50*time.Millisecond || res.LeftBehind < 1 {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

func TestACheckThatFailsEndsTheProgram(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	res, err := keepers(t, keeper.Session).Run(t.Context(), sh("sleep 300"), keeper.Limits{Check: func() error { return full }})
	if err != nil || !errors.Is(res.Stopped, full) || res.Signal != "terminated" {
		t.Errorf("%+v, %v", res, err)
	}
}
