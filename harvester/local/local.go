// Package local is the batch system of one machine: pilots are processes of it.
//
// A job leaves a folder of its own under the state folder, with what it printed and a note of its process, so that a harvester
// that comes after a kill -9 adopts the pilots that live on. Those are not its children: how they end, nobody hears; their last
// words to idds tell. Close ends all jobs, adopted ones too.
package local

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// Config is where and how jobs run.
type Config struct {
	// Dir holds a folder for each job.
	Dir string
	// Grace is the time between SIGTERM and SIGKILL (default 15 s: longer than a pilot's drain).
	Grace time.Duration
	// Launcher is put before the command of every job, and has to exec it: nice, ionice, taskset.
	Launcher []string
	// Extra are descriptors that every job gets, from 3 on; ExtraEnv tells it of them.
	Extra    []*os.File
	ExtraEnv []string
}

// System starts pilots on this machine.
type System struct {
	cfg Config

	mu      sync.Mutex
	jobs    map[string]*job
	adopted map[string]note // that lived when we came; none is added later
	closed  bool
}

var _ harvester.BatchSystem = (*System)(nil)

// job is one pilot that we started.
type job struct {
	process *proc.Process
	cancel  context.CancelCauseFunc
	cause   func() error // why we ended it
	limit   *time.Timer  // its wall time
	started time.Time
	ended   time.Time
	ready   chan struct{} // closed when ended is set
}

// New makes a system and adopts the jobs of its folder that live.
func New(cfg Config) (*System, error) {
	cfg.Grace = cmp.Or(cfg.Grace, 15*time.Second)
	abs, err := filepath.Abs(cfg.Dir)
	if err == nil {
		err = os.MkdirAll(abs, 0o700)
	}
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "making the jobs' folder: %w", err)
	}
	cfg.Dir = abs
	s := &System{cfg: cfg, jobs: map[string]*job{}}
	if s.adopted, err = living(cfg.Dir); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is local.
func (s *System) Name() string { return "local" }

// Submit starts the pilots at once.
func (s *System) Submit(ctx context.Context, sub harvester.Submission) ([]string, error) {
	var ids []string
	for i := range sub.Count {
		id := sub.Tag + "." + strconv.Itoa(i)
		if err := s.start(ctx, id, sub); err != nil {
			return ids, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (s *System) start(ctx context.Context, id string, sub harvester.Submission) error {
	notes, dir := filepath.Join(s.cfg.Dir, id), filepath.Join(cmp.Or(sub.Dir, s.cfg.Dir), id) // mostly the same
	for _, d := range []string{notes, dir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "making the job's folder: %w", err)
		}
	}
	out, err := logFile(dir, harvester.StdoutFile)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	log, err := logFile(dir, harvester.StderrFile)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// A job outlives the look that submitted it.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	command := slices.Concat(s.cfg.Launcher, []string{sub.Path}, sub.Args)
	p, err := proc.Start(own, proc.Command{
		Path: command[0], Args: command[1:], Dir: dir, Stdout: out, Stderr: log, Grace: s.cfg.Grace, ExtraFiles: s.cfg.Extra,
		Env: slices.Concat(sub.Env, s.cfg.ExtraEnv, environment(id, sub.WallTime)),
	})
	if err != nil {
		cancel(nil)
		return err
	}
	j := &job{process: p, cancel: cancel, cause: func() error { return context.Cause(own) }, started: time.Now().UTC(), ready: make(chan struct{})}
	if sub.WallTime > 0 {
		j.limit = time.AfterFunc(sub.WallTime, func() { cancel(errWallTime) })
	}
	s.mu.Lock()
	s.jobs[id] = j
	s.mu.Unlock()
	go func() {
		<-p.Done()
		if j.limit != nil {
			j.limit.Stop()
		}
		cancel(nil)
		s.mu.Lock()
		j.ended = time.Now().UTC()
		s.mu.Unlock()
		close(j.ready)
	}()
	start, _ := startTicks(p.PID()) // gone already: then there is nobody to be found either
	if err := (note{p.PID(), start, j.started}).write(notes); err != nil {
		cancel(nil)
		return err
	}
	return nil
}

func logFile(dir, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the job's log: %w", err)
	}
	return f, nil
}

// environment is what a batch system adds to that of a pilot.
func environment(id string, wallTime time.Duration) []string {
	env := []string{harvester.EnvBatchSystem + "=local", harvester.EnvBatchID + "=" + id, harvester.EnvWorkerID + "=" + id}
	if wallTime > 0 {
		env = append(env, harvester.EnvWallTime+"="+wallTime.String())
	}
	return env
}

// Why we end a job.
var (
	errWallTime  = errors.New("its wall time is over")
	errCancelled = errors.New("cancelled")
	errClosed    = errors.New("ended with the harvester")
)

// Queue lists what has a folder with a note: our children, and processes of a former harvester.
func (s *System) Queue(_ context.Context) ([]harvester.Job, error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil { // nothing is said of any job: one that is not listed would be given up, and another one started
		return nil, exitcode.New(exitcode.NoBatch, "looking for jobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make([]harvester.Job, 0, len(entries))
	for _, e := range entries {
		id := e.Name()
		tag, number, _ := strings.Cut(id, ".")
		index, err := strconv.Atoi(number)
		if err != nil || !strings.HasPrefix(tag, harvester.TagPrefix) {
			continue
		}
		st, err := s.look(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // no job, or somebody removes it in this moment, such as the one that tested whether jobs run
		}
		if err != nil {
			return nil, exitcode.Wrap(exitcode.NoBatch, err)
		}
		jobs = append(jobs, harvester.Job{ID: id, Tag: tag, Index: index, Status: st})
	}
	return jobs, nil
}

// History knows nothing that Queue does not.
func (s *System) History(context.Context, []string) (map[string]harvester.Status, error) {
	return map[string]harvester.Status{}, nil
}

// Check looks for the launcher: anything else of a process is found by starting it.
func (s *System) Check(context.Context) []harvester.Finding {
	if len(s.cfg.Launcher) == 0 {
		return nil
	}
	f := harvester.Finding{What: "launcher " + s.cfg.Launcher[0], OK: true}
	path, err := exec.LookPath(s.cfg.Launcher[0])
	if f.Detail = path; err != nil {
		f.OK, f.Detail, f.Next = false, err.Error(), "install it, or change launcher in the [local] table"
	}
	return []harvester.Finding{f}
}

// look is how one job is.
func (s *System) look(id string) (harvester.Status, error) {
	if j, ours := s.jobs[id]; ours {
		return j.status(), nil
	}
	n, err := readNote(s.cfg.Dir, id)
	if err != nil {
		return harvester.Status{}, err
	}
	if n.alive() {
		return harvester.Status{State: harvester.Running, Native: "running", Node: hostname(), Starts: 1, QueuedAt: n.StartedAt, StartedAt: n.StartedAt}, nil
	}
	reason := "it ended while no harvester watched"
	if _, seen := s.adopted[id]; seen {
		reason = "it ended; a former harvester had started it, so nobody heard how"
	}
	if s.closed {
		reason = "ended with the harvester; a former one had started it, so nobody heard how"
	}
	return harvester.Status{State: harvester.Ended, Native: "gone", Node: hostname(), Starts: 1, ExitCode: -1, Reason: reason, QueuedAt: n.StartedAt, StartedAt: n.StartedAt}, nil
}

func (j *job) status() harvester.Status {
	st := harvester.Status{State: harvester.Running, Native: "running", Node: hostname(), Starts: 1, QueuedAt: j.started, StartedAt: j.started}
	if j.ended.IsZero() {
		if j.cause() != nil {
			st.State, st.Native, st.Reason = harvester.Ending, "ending", j.cause().Error()
		}
		return st
	}
	res, err := j.process.Wait()
	st.State, st.Native, st.ExitCode, st.EndedAt = harvester.Ended, "ended", res.ExitCode, j.ended
	switch {
	case err != nil:
		st.Reason, st.ExitCode = err.Error(), -1
	case res.Signal != "":
		st.Signal = signalNumber(res.Signal)
		st.Reason = "ended by signal: " + res.Signal
	default:
		f, _ := exitcode.ByCode(res.ExitCode)
		st.Reason = f.Name
	}
	switch {
	case !res.Ended: // by itself
	case errors.Is(j.cause(), errWallTime):
		st.Cause = exitcode.Walltime
	case errors.Is(j.cause(), errCancelled):
		st.Cause = exitcode.Cancelled
	}
	return st
}

// signalNumber is that of a name as syscall.Signal prints it.
func signalNumber(name string) int {
	for n := syscall.Signal(1); n < 65; n++ {
		if n.String() == name {
			return int(n)
		}
	}
	return 0
}

var hostname = sync.OnceValue(func() string {
	name, _ := os.Hostname() // without one the node has no name, and nothing is lost
	return name
})

// Cancel sends SIGTERM, and SIGKILL after the grace to our own.
func (s *System) Cancel(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if j, ours := s.jobs[id]; ours {
			j.cancel(errCancelled)
		} else if n, err := readNote(s.cfg.Dir, id); err == nil && n.alive() {
			n.signal(syscall.SIGTERM)
		}
	}
	return nil
}

// Close ends all jobs, adopted ones too, and returns when nothing is left of them. How they ended, Queue says also after it.
func (s *System) Close() {
	s.mu.Lock()
	var all []*job
	for _, j := range s.jobs {
		all = append(all, j)
		j.cancel(errClosed)
	}
	s.closed = true
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, n := range s.adopted {
		wg.Go(func() { n.end(s.cfg.Grace) })
	}
	wg.Wait()
	for _, j := range all {
		<-j.ready
	}
}
