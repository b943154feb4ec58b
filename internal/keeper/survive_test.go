package keeper_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
)

// scripts leave processes behind in their own ways, all with the word in their arguments. They say when they have started.
var scripts = map[string]string{
	"Child":         `sleep 300.WORD & echo >>READY`,
	"IgnoresTERM":   `sh -c 'trap "" TERM; echo >>READY; sleep 300.WORD; sleep 300.WORD' &`,
	"OwnGroup":      `set -m; sleep 300.WORD & echo >>READY`,
	"OwnSession":    `setsid sh -c 'echo >>READY; exec sleep 300.WORD' &`,
	"DoubleFork":    `sh -c 'setsid sh -c "echo >>READY; exec sleep 300.WORD" & exit' &`,
	"NoEnvironment": `env -i setsid /bin/sh -c 'echo >>READY; exec /bin/sleep 300.WORD' &`,
	"DropsAll":      `sh -c 'trap "" TERM HUP; env -i setsid setsid /bin/sh -c "trap : TERM; echo >>READY; while :; do /bin/sleep 300.WORD; done" & exit' &`,
}

func TestNothingSurvivesAndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	bystander := exec.CommandContext(t.Context(), "/bin/sleep", "300")
	bystander.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, ok := proc.Look(bystander.Process.Pid); !ok {
			t.Error("a process of somebody else was ended")
		}
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	})
	for _, c := range kinds {
		for name, script := range scripts {
			for _, ending := range []string{"Itself", "TERM", "KILL"} {
				t.Run(string(c)+"/"+name+"/"+ending, func(t *testing.T) {
					t.Parallel()
					keepers(t, c)
					word, ready := newWord(), filepath.Join(t.TempDir(), "ready")
					end := "while :; do sleep 300; done"
					if ending == "Itself" {
						end = "while ! [ -e READY ]; do sleep 0.01; done"
					}
					script := strings.NewReplacer("WORD", word, "READY", ready).Replace(script + "\n" + end)
					p := startPilot(t, c, script)
					if err := p.Start(); err != nil {
						t.Fatal(err)
					}
					if ending != "Itself" {
						await(t, "the tree", func() bool { _, err := os.Stat(ready); return err == nil && len(alive(t, "300."+word)) > 1 })
						signal := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[ending]
						if err := p.Process.Signal(signal); err != nil {
							t.Fatal(err)
						}
					}
					err := p.Wait()
					if err != nil && ending != "KILL" {
						t.Error(err)
					}
					if ending != "KILL" { // it has returned: now nothing may be there
						if left := alive(t, word); len(left) > 0 {
							t.Errorf("alive: %v", left)
						}
						return
					}
					await(t, "the end of all", func() bool { return len(alive(t, word)) == 0 })
				})
			}
		}
	}
}

func TestAKeeperThatIsKilledTakesItsProgramAlong(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			word := newWord()
			done := make(chan keeper.Result)
			go func() {
				res, err := k.Run(t.Context(), sh("sleep 300."+word+" & setsid sleep 300."+word+" & wait"), keeper.Limits{})
				if err != nil {
					t.Error(err)
				}
				done <- res
			}()
			await(t, "the tree", func() bool { return len(alive(t, "sleep\x00300."+word)) == 2 })
			for _, pid := range parents(t, alive(t, "sleep 300."+word)) {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
			if res := <-done; res.Signal != "killed" || res.Stopped != nil {
				t.Errorf("%+v", res)
			}
			if left := alive(t, word); len(left) > 0 {
				t.Errorf("alive: %v", left)
			}
			if res, err := k.Run(t.Context(), sh("exit 3"), keeper.Limits{}); err != nil || res.ExitCode != 3 {
				t.Errorf("the next program: %+v, %v", res, err)
			}
		})
	}
}

// As a batch system cancels a job: every process of it gets SIGTERM. The keeper has still to end what is left.
func TestASignalToAKeeperDoesNotEndIt(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			word := newWord()
			done := make(chan keeper.Result)
			go func() {
				res, err := k.Run(t.Context(), sh("(trap '' TERM HUP INT; setsid sleep 300."+word+") & exec sleep 300."+word), keeper.Limits{})
				if err != nil {
					t.Error(err)
				}
				done <- res
			}()
			await(t, "the program", func() bool { return len(alive(t, "sleep\x00300."+word)) == 2 })
			all := alive(t, "sleep\x00300."+word)
			for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM} {
				for _, pid := range append(parents(t, all), all...) {
					if comm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil && (signal == syscall.SIGTERM || bytes.HasPrefix(comm, []byte("tfpilot-keeper"))) {
						_ = syscall.Kill(pid, signal)
					}
				}
			}
			if res := <-done; res.Signal != "terminated" || res.LeftBehind < 1 || res.Stopped != nil {
				t.Errorf("%+v", res)
			}
			if left := alive(t, word); len(left) > 0 {
				t.Errorf("alive: %v", left)
			}
		})
	}
}

func parents(t *testing.T, pids []int) (out []int) {
	t.Helper()
	for _, pid := range pids {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		ppid, err := strconv.Atoi(strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[1])
		if err != nil || ppid <= 1 {
			t.Fatal(ppid, err)
		}
		out = append(out, ppid)
	}
	return out
}
