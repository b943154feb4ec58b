//go:build integration

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pelletier/go-toml/v2"

	"tfpilot/harvester"
	"tfpilot/internal/testbed"
)

// site is a harvester whose pilots are jobs of a real batch system.
type site struct {
	*testbed.Stack

	t    *testing.T
	pool *pool
	// system is the batch system, as in the site's file; shims are its commands, each of which notes its calls and does what the
	// test wants.
	system, shims string
	// name is that of the harvester's program; file is the site's file, mark stands in the environment of all that its pilots are.
	name, file, mark string
	content          table
}

// table is a part of a site's file.
type table = map[string]any

// newSite writes the site's file. edit is laid over it, table by table.
func newSite(t *testing.T, stack *testbed.Stack, pool *pool, edit table) *site {
	t.Helper()
	return namedSite(t, "harvester", stack, pool, edit)
}

func namedSite(t *testing.T, name string, stack *testbed.Stack, pool *pool, edit table) *site {
	t.Helper()
	s := &site{Stack: stack, t: t, pool: pool, system: "slurm", shims: stack.Path(name + ".shims"), name: name, file: stack.Path(name + ".toml"), mark: "TFPILOT_TEST_MARK=" + uuid.NewString()}
	own := table{"bin": s.shims, "timeout": "5m"}
	if pool.remove == "condor_rm" {
		s.system = "htcondor"
		own["keep_time"] = "20s" // what ended does not stay for others to wonder at
	} else {
		own["partition"] = "main"
	}
	file := table{
		"system": s.system, "state": stack.Path(name), "token_file": stack.Path("harvester.token"), "interval": "2s", "namespace": namespace,
		"guard": table{"min_interval": "1s"}, "resources": table{"memory_mb": 100, "wall_time": "30m"},
		"pilot": table{
			"token_file": stack.Path("pilot.token"), "env": []string{s.mark},
			"args": s.args(),
		},
		s.system: own,
	}
	s.content = file
	s.edit(edit)
	must(t, os.MkdirAll(s.shims, 0o700))
	commands, err := os.ReadDir(filepath.Join(pool.dir, "bin"))
	must(t, err)
	for _, c := range commands {
		s.shim(c.Name(), `exec "$real" "$@"`)
	}
	t.Cleanup(func() {
		s.Stop(s.name)
		if s.calls("submit") == 0 {
			return
		}
		s.harvester("reap", "--yes")
		s.emptied()
		if t.Failed() {
			logs, _ := filepath.Glob(s.Path(s.name, "jobs", "*", harvester.StderrFile))
			for _, log := range append(logs[:min(len(logs), 5)], s.Path("logs", s.name+".log")) {
				b, _ := os.ReadFile(log)
				t.Logf("%s:\n%s", log, b)
			}
		}
	})
	return s
}

// edit changes the site's file; tables of another batch system are left out.
func (s *site) edit(by table) {
	s.t.Helper()
	lay(s.content, by)
	for _, other := range []string{"slurm", "htcondor"} {
		if other != s.system {
			delete(s.content, other)
		}
	}
	b, err := toml.Marshal(s.content)
	must(s.t, err)
	must(s.t, os.WriteFile(s.file, b, 0o600))
}

// args are the pilots' own.
func (s *site) args() []string {
	return []string{"--work-dir=" + s.Path("work"), "--journal-dir=" + s.Path("journal"), "--heartbeat=2s", "--node-min-disk-mb=1"}
}

// lay puts tables over tables.
func lay(file, edit table) {
	for key, value := range edit {
		if over, is := value.(table); is && file[key] != nil {
			lay(file[key].(table), over) //nolint:forcetypeassert // of the same file
			continue
		}
		file[key] = value
	}
}

// shim makes a command of the batch system note its call and do what a script says, in which $real is the command itself, and
// $calls how often it was called.
func (s *site) shim(name, script string) {
	s.t.Helper()
	path := filepath.Join(s.shims, name)
	text := fmt.Sprintf("#!/bin/sh\nreal=%s/bin/%s\necho \"$*\" >>%s.calls\ncalls=$(wc -l <%s.calls)\n%s\n", s.pool.dir, name, path, path, script)
	must(s.t, os.WriteFile(path+".new", []byte(text), 0o700)) //nolint:gosec // a program
	must(s.t, os.Rename(path+".new", path))
}

// calls is how often a command was called to do something: its own way of looking at all jobs, not at why one of them waits.
func (s *site) calls(what string) (n int) {
	b, err := os.ReadFile(filepath.Join(s.shims, s.command(what)+".calls"))
	if err != nil {
		return 0 // never called
	}
	for line := range strings.Lines(string(b)) {
		n += count(!strings.Contains(line, "-better-analyze"))
	}
	return n
}

// command is the batch system's for something: submit, queue, history or cancel.
func (s *site) command(what string) string {
	if s.system == "htcondor" {
		return map[string]string{"submit": "condor_submit", "queue": "condor_q", "history": "condor_history", "cancel": "condor_rm"}[what]
	}
	return map[string]string{"submit": "sbatch", "queue": "squeue", "history": "sacct", "cancel": "scancel"}[what]
}

// run starts the harvester, or starts it again.
func (s *site) run() {
	s.t.Helper()
	must(s.t, s.Start(s.t.Context(), s.name, "harvester", []string{"run", "--config", s.file}))
	db := s.Path(s.name, "harvester.db")
	s.patiently("its store", func() bool {
		select {
		case <-s.Ended(s.name):
			s.t.Fatal(s.Failure(s.name))
		default:
		}
		_, err := os.Stat(db)
		return err == nil
	}, func() string { return db })
}

// kill ends the harvester as a crash does.
func (s *site) kill() {
	s.t.Helper()
	must(s.t, syscall.Kill(s.PID(s.name), syscall.SIGKILL))
	<-s.Ended(s.name)
}

// asks runs a command of the harvester and reads its document.
func (s *site) asks(into any, args ...string) {
	s.t.Helper()
	must(s.t, json.Unmarshal([]byte(s.harvester(append(args, "--output", "json")...)), into))
}

// harvester runs a command of it, also when the test is over.
func (s *site) harvester(args ...string) string {
	s.t.Helper()
	out, err := try(s.t, filepath.Join(bin(s.t), "harvester"), append(args, "--config", s.file)...)
	must(s.t, err)
	return out
}

func (s *site) workers() (all []harvester.Worker) {
	s.t.Helper()
	s.asks(&all, "workers", "--limit", "1000")
	return all
}

func (s *site) report() harvester.Report {
	s.t.Helper()
	var d struct {
		Report harvester.Report `json:"report"`
	}
	s.asks(&d, "status")
	return d.Report
}

// awaits asks the harvester's book until something is so.
func (s *site) awaits(what string, ok func([]harvester.Worker) bool) (all []harvester.Worker) {
	s.t.Helper()
	s.patiently(what, func() bool {
		all = s.workers()
		return ok(all)
	}, func() string { return tabled(all) })
	return all
}

// patiently is await for what a batch system does on a busy machine. Its questions are whole programs.
func (s *site) patiently(what string, ok func() bool, seen func() string) {
	s.t.Helper()
	tick, over := time.NewTicker(500*time.Millisecond), time.After(10*time.Minute)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-over:
			s.t.Fatalf("waited too long for %s: %s", what, seen())
		}
	}
}

func tabled(all []harvester.Worker) string {
	var b strings.Builder
	for _, w := range all {
		fmt.Fprintf(&b, "\n%s %s %s (%s) on %q: %s, %s %d", w.ID, w.BatchID, w.State, w.Native, w.Node, w.Reason, w.Cause, w.ExitCode)
	}
	return b.String()
}

// in counts the workers in one of some states.
func in(all []harvester.Worker, states ...harvester.State) (n int) {
	for _, w := range all {
		n += count(slices.Contains(states, w.State))
	}
	return n
}

// jobs are those of this site's harvesters that the batch system itself lists as alive, by its ids.
func (s *site) jobs() []string {
	s.t.Helper()
	tags := map[string]bool{}
	for _, w := range s.workers() {
		tags[w.Tag] = true
	}
	var ids []string
	for line := range strings.Lines(s.listing()) {
		f := strings.Fields(line)
		if len(f) == 2 && tags[f[1]] {
			ids = append(ids, f[0])
		}
	}
	return ids
}

// listing has a line for each job that is alive: id and tag.
func (s *site) listing() string {
	s.t.Helper()
	if s.system == "htcondor" {
		return s.pool.command(s.t, "condor_q", "-allusers", "-constraint", "JobStatus != 3 && JobStatus != 4", "-format", "%d.", "ClusterId", "-format", "%d ", "ProcId", "-format", "%s\n", "TfpilotTag")
	}
	return s.pool.command(s.t, "squeue", "-h", "-r", "-o", "%F_%K %j")
}

// emptied waits until nothing of the site is left: no job, no process.
func (s *site) emptied() {
	s.t.Helper()
	s.patiently("the end of all jobs", func() bool { return len(s.jobs()) == 0 }, s.listing)
	s.patiently("the end of all processes", func() bool { return len(marked(s.t, s.mark)) == 0 }, func() string { return fmt.Sprint(marked(s.t, s.mark)) })
}

// pools are the batch systems that there are tests for, with what is of a kind of its own in them.
var pools = map[string]string{"Slurm 22.05": "TFPILOT_TEST_SLURM", "Slurm 24.11": "TFPILOT_TEST_SLURM24", "HTCondor": "TFPILOT_TEST_CONDOR"}

// onPools runs a test on those that are named, or on all.
func onPools(t *testing.T, test func(*testing.T, *pool), names ...string) {
	t.Helper()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(pools))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, onPool(t, pools[name]))
		})
	}
}
