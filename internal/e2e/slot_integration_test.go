//go:build integration

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
	"tfpilot/internal/proc"
	"tfpilot/internal/stompd"
)

// pool is a real batch system for tests: its commands, and how it takes a job.
type pool struct {
	dir string
	// submit hands in the script of a folder, with what a test adds, and returns the job's id.
	submit func(t *testing.T, p *pool, dir string, extra ...string) string
	remove string // the command that removes a job
}

// command runs one of the pool and returns what it printed.
func (p *pool) command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := p.try(t, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (p *pool) try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	return try(t, filepath.Join(p.dir, "bin", name), args...)
}

// try runs a command, also when the test is over.
func try(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	stdout, stderr := proc.NewCapture(4<<20, 0), proc.NewCapture(16<<10, 0)
	res, err := proc.Run(context.WithoutCancel(t.Context()), proc.Command{
		Path: path, Args: args, Env: os.Environ(), Dir: os.TempDir(), Stdout: stdout, Stderr: stderr,
	})
	if err == nil && res.ExitCode != 0 {
		err = fmt.Errorf("%s %v: status %d: %s", filepath.Base(path), args, res.ExitCode, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), err
}

// onPool is the pool that a variable names.
func onPool(t *testing.T, variable string) *pool {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s names no pool, and REQUIRE_SERVICES is set", variable)
	}
	if dir == "" {
		t.Skipf("%s names no pool; `scripts/services.sh up condor slurm slurm24` starts them", variable)
	}
	if variable == "TFPILOT_TEST_CONDOR" {
		return &pool{dir, submitCondor, "condor_rm"}
	}
	return &pool{dir, submitSlurm, "scancel"}
}

func submitSlurm(t *testing.T, p *pool, dir string, extra ...string) string {
	t.Helper()
	return p.command(t, "sbatch", append(append([]string{"--parsable", "-D", dir, "-o", filepath.Join(dir, "batch.out")}, extra...), filepath.Join(dir, "job.sh"))...)
}

func submitCondor(t *testing.T, p *pool, dir string, extra ...string) string {
	t.Helper()
	file := filepath.Join(dir, "job.sub")
	must(t, os.WriteFile(file, []byte("executable = "+dir+"/job.sh\nuniverse = vanilla\ninitialdir = "+dir+"\nshould_transfer_files = NO\n"+
		"transfer_executable = False\noutput = batch.out\nerror = batch.err\nlog = events\nrequest_cpus = 1\nrequest_memory = 100MB\nrequest_disk = 10MB\n"+
		strings.Join(append(extra, "queue 1"), "\n")+"\n"), 0o600))
	first, _, _ := strings.Cut(p.command(t, "condor_submit", "-terse", file), " ")
	return first
}

// slot is a pilot in a slot of a pool, with a broker of its own and a payload that says when it has begun.
type slot struct {
	*production

	t         *testing.T
	pool      *pool
	broker    *stompd.Broker
	dir       string
	mark      string // stands in the environment of all that is the test's
	published int
	results   *broker.Consumer
	job       string
}

const slotSlices = 200 // more than any of these pilots works on

// inSlot submits a pilot and returns when it works.
func inSlot(t *testing.T, pool *pool, extra ...string) *slot {
	t.Helper()
	b, addr := startBroker(t)
	s := &slot{production: newProduction(t, addr, "", ""), t: t, pool: pool, broker: b, dir: t.TempDir()}
	s.mark = "TFPILOT_TEST_MARK=" + s.namespace
	config := s.brokerFile(t, s.dir, s.addr)
	must(t, os.WriteFile(filepath.Join(s.dir, "payload.toml"), []byte(fmt.Sprintf("name = \"sleep\"\nversion = \"1\"\nkind = \"command\"\n"+
		"command = [\"/bin/sh\", \"-c\", \"touch %s/begun; sleep 1; echo {} >$TFPILOT_RESULT\"]\n[env]\nTEST_%s\n", s.dir, strings.Replace(s.mark, "=", " = \"", 1)+"\"")), 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "job.sh"), []byte(fmt.Sprintf("#!/bin/sh\nexport PATH=/usr/bin:/bin %s\n"+
		"exec %s/pilot run --broker-config %s --namespace %s --run %s --slots 2 --payload %s/payload.toml --work-dir %s/work >%s/out.$(date +%%s%%N) 2>>%s/log\n",
		s.mark, bin(t), config, s.namespace, run, s.dir, s.dir, s.dir, s.dir)), 0o700))
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(s.dir, "log")); t.Failed() && err == nil {
			t.Logf("%s", log)
		}
	})
	for s.published < slotSlices {
		s.publishSlice(t, s.slice(s.published, run))
		s.published++
	}
	s.results = s.consume(t, message.QueueResultsFast)
	s.job = pool.submit(t, pool, s.dir, extra...)
	t.Cleanup(func() { _, _ = pool.try(t, pool.remove, s.job) })
	await(t, "the pilot to work", func() bool { _, err := os.Stat(filepath.Join(s.dir, "begun")); return err == nil })
	return s
}

// lastWords waits for those of the first pilot, takes the job away, and checks that nothing was lost, doubled or left.
func (s *slot) lastWords() document.WorkerReport {
	s.t.Helper()
	var w document.WorkerReport
	await(s.t, "the last words", func() bool {
		files, _ := filepath.Glob(filepath.Join(s.dir, "out.*"))
		slices.Sort(files)
		return len(files) > 0 && json.Unmarshal([]byte(readFile(s.t, files[0])), &w) == nil
	})
	if w.Exit == nil || w.Slot == nil {
		s.t.Fatalf("last words %+v", w)
	}
	_, _ = s.pool.try(s.t, s.pool.remove, s.job) // a job that was requeued would begin anew
	await(s.t, "the end of all processes", func() bool { return len(marked(s.t, s.mark)) == 0 })
	await(s.t, "the slices to be the broker's again", func() bool { return s.queue(message.QueueSlicesWorkers).InFlight == 0 })
	left, results, seen := s.queue(message.QueueSlicesWorkers).Depth, s.queue(message.QueueResultsFast), map[string]bool{}
	for range results.Depth + results.InFlight {
		d, err := s.results.Next(soon(s.t))
		must(s.t, err)
		m, err := message.Decode[message.SliceResult](d.Body)
		must(s.t, err)
		must(s.t, d.Ack(soon(s.t)))
		if seen[m.Identity()] || m.Content.State != message.StateDone {
			s.t.Errorf("result of %s: again, or %s", m.Identity(), m.Content.State)
		}
		seen[m.Identity()] = true
	}
	if dead := s.queue(message.QueueSlicesWorkers).Dead; len(seen)+left != s.published || dead != 0 {
		s.t.Errorf("%d slices: %d done, %d in the queue, %d dead", s.published, len(seen), left, dead)
		there := s.consume(s.t, message.QueueSlicesWorkers)
		for range left {
			d, err := there.Next(soon(s.t))
			must(s.t, err)
			m, err := message.Decode[message.Slice](d.Body)
			must(s.t, err)
			must(s.t, d.Ack(soon(s.t)))
			if seen[m.Content.Identity()] {
				s.t.Errorf("%s is there again, redelivered is %s", m.Content.Identity(), d.Header.Get("redelivered"))
			}
			seen[m.Content.Identity()] = true
		}
	}
	s.t.Logf("%s: %s; %d done, %d given back, in %.1f s", w.Exit.Name, w.Exit.Cause, w.Totals.Done, w.Totals.Released, w.Exit.WallSeconds)
	return w
}

func (s *slot) queue(name string) msgqueue.Stat { return queueOf(s.broker, name) }

// startBroker runs an embedded broker in this process, which can be asked.
func startBroker(t *testing.T) (b *stompd.Broker, addr string) {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	background(t, func(ctx context.Context) error { return b.Serve(ctx, ln) })
	return b, ln.Addr().String()
}

func queueOf(b *stompd.Broker, name string) msgqueue.Stat {
	for _, q := range b.Stats() {
		if q.Name == name {
			return q
		}
	}
	return msgqueue.Stat{}
}

// marked are the processes with this in their environment.
func marked(t *testing.T, mark string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	must(t, err)
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), mark) {
			pids = append(pids, f)
		}
	}
	return pids
}

// fact is that of a name which counts.
func fact(w document.WorkerReport, name string) string {
	for _, f := range w.Slot.Facts {
		if f.Name == name && f.Counts {
			return f.Value + " (" + f.Source + ")"
		}
	}
	return ""
}

// TestIntegrationAPilotIsACitizenOfItsSlot ends slots in all ways that batch systems have.
func TestIntegrationAPilotIsACitizenOfItsSlot(t *testing.T) {
	t.Parallel()
	for name, variable := range map[string]string{"Slurm 22.05": "TFPILOT_TEST_SLURM", "Slurm 24.11": "TFPILOT_TEST_SLURM24"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := onPool(t, variable)
			for name, c := range map[string]struct {
				args []string
				then []string
				want exitcode.Failure
			}{
				"cancelled":      {nil, []string{"scancel"}, exitcode.Cancelled},
				"requeued":       {nil, []string{"scontrol", "requeue"}, exitcode.Preempted},
				"warned":         {nil, []string{"scancel", "-s", "USR2", "--batch"}, exitcode.Drained},
				"out of time":    {[]string{"-t", "1"}, nil, exitcode.Walltime},
				"told the limit": {[]string{"-t", "1", "--signal=B:USR1@30"}, nil, exitcode.Walltime},
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := inSlot(t, pool, append([]string{"-p", "main", "-c", "2", "-t", "30"}, c.args...)...)
					await(t, "the answer of squeue", func() bool { return strings.Contains(readFile(t, filepath.Join(s.dir, "log")), "squeue, time limit") })
					if c.then != nil {
						pool.command(t, c.then[0], append(c.then[1:], s.job)...)
					}
					w := s.lastWords()
					if w.Exit.Name != c.want.Name {
						t.Errorf("%s: %s", w.Exit.Name, w.Exit.Cause)
					}
					if w.BatchSystem != "slurm" || w.BatchID != s.job || w.Slot.Cores > 2 || fact(w, "kill_time") == "" || !strings.Contains(fact(w, "end"), "squeue") {
						t.Errorf("%s %s of %+v", w.BatchSystem, w.BatchID, w.Slot)
					}
				})
			}
			t.Run("suspended", func(t *testing.T) {
				t.Parallel()
				s := inSlot(t, pool, "-p", "main", "-c", "2", "-t", "30")
				s.standsStill(func() { pool.command(t, "scontrol", "suspend", s.job) }, func() { pool.command(t, "scontrol", "resume", s.job) })
				pool.command(t, "scancel", s.job)
				if w := s.lastWords(); w.Exit.Name != exitcode.Cancelled.Name || w.Totals.SuspendedSeconds < 5 {
					t.Errorf("%s: %s; it stood still for %.0f s", w.Exit.Name, w.Exit.Cause, w.Totals.SuspendedSeconds)
				}
			})
		})
	}
	t.Run("HTCondor", func(t *testing.T) {
		t.Parallel()
		pool := onPool(t, "TFPILOT_TEST_CONDOR")
		for name, c := range map[string]struct {
			lines []string
			then  string
			want  exitcode.Failure
		}{
			"removed":     {nil, "condor_rm", exitcode.Preempted},
			"vacated":     {nil, "condor_vacate_job", exitcode.Preempted},
			"held":        {nil, "condor_hold", exitcode.Preempted},
			"out of time": {[]string{"allowed_execute_duration = 45"}, "", exitcode.Walltime},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := inSlot(t, pool, c.lines...)
				if c.then != "" {
					pool.command(t, c.then, s.job)
				}
				w := s.lastWords()
				if w.Exit.Name != c.want.Name {
					t.Errorf("%s: %s", w.Exit.Name, w.Exit.Cause)
				}
				if w.BatchSystem != "htcondor" || w.BatchID != s.job || fact(w, "cores") != "1 (_CONDOR_MACHINE_AD Cpus)" || fact(w, "kill_time") == "" {
					t.Errorf("%s %s of %+v", w.BatchSystem, w.BatchID, w.Slot)
				}
			})
		}
		t.Run("suspended", func(t *testing.T) {
			t.Parallel()
			s := inSlot(t, pool)
			s.standsStill(func() { pool.command(t, "condor_suspend", s.job) }, func() { pool.command(t, "condor_continue", s.job) })
			pool.command(t, "condor_rm", s.job)
			if w := s.lastWords(); w.Totals.SuspendedSeconds < 5 {
				t.Errorf("%s: %s; it stood still for %.0f s", w.Exit.Name, w.Exit.Cause, w.Totals.SuspendedSeconds)
			}
		})
	})
}

// standsStill has the slot suspended for longer than a pilot takes for load, and waits until it works again.
func (s *slot) standsStill(suspend, resume func()) {
	s.t.Helper()
	acked := func() uint64 { return s.queue(message.QueueSlicesWorkers).Acked }
	suspend()
	before, since := acked(), time.Now()
	await(s.t, "ten seconds in which nothing happens", func() bool {
		if now := acked(); now != before {
			before, since = now, time.Now()
		}
		return time.Since(since) > 10*time.Second
	})
	resume()
	await(s.t, "the pilot to work again", func() bool { return acked() > before+2 })
}
