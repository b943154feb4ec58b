// Package local is the batch system of one machine: pilots are processes of it.
//
// A job leaves a folder of its own under the state folder, with what it printed and a note of its process, so that a harvester
// that comes after a kill -9 adopts the pilots that live on. Those are not its children: how they end, nobody hears; their last
// words to idds tell. Close ends all jobs, adopted ones too.
package local

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
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
	// Extra are descriptors that every job gets, from 3 on.
	Extra []*os.File
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
	cancel  context.CancelFunc
	node    string
	started time.Time
	ended   time.Time
	asked   bool          // to end
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
	var streams [2]*os.File
	for i, name := range []string{harvester.StdoutFile, harvester.StderrFile} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "making the job's log: %w", err)
		}
		defer func() { _ = f.Close() }()
		streams[i] = f
	}
	env := append(append([]string{}, sub.Env...), harvester.EnvBatchSystem+"=local", harvester.EnvBatchID+"="+id, harvester.EnvWorkerID+"="+id)
	if sub.WallTime > 0 {
		env = append(env, harvester.EnvWallTime+"="+sub.WallTime.String())
	}
	// A job outlives the look that submitted it.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p, err := proc.Start(own, proc.Command{
		Path: sub.Path, Args: sub.Args, Dir: dir, Stdout: streams[0], Stderr: streams[1], Grace: s.cfg.Grace, ExtraFiles: s.cfg.Extra,
		Env: env,
	})
	if err != nil {
		cancel()
		return err
	}
	node, _ := os.Hostname() // one that has no name is not named
	j := &job{process: p, cancel: cancel, node: node, started: time.Now().UTC(), ready: make(chan struct{})}
	s.mu.Lock()
	s.jobs[id] = j
	s.mu.Unlock()
	go func() {
		<-p.Done()
		cancel()
		s.mu.Lock()
		j.ended = time.Now().UTC()
		s.mu.Unlock()
		close(j.ready)
	}()
	start, _ := startTicks(p.PID()) // gone already: then there is nobody to be found either
	if err := (note{p.PID(), start, j.started}).write(notes); err != nil {
		cancel()
		return err
	}
	return nil
}

// Queue lists what has a folder with a note: our children, and processes of a former harvester.
func (s *System) Queue(_ context.Context) ([]harvester.Job, error) {
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, harvester.TagPrefix+"*", noteFile))
	if err != nil {
		return nil, exitcode.New(exitcode.NoBatch, "looking for jobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make([]harvester.Job, 0, len(files))
	for _, f := range files {
		id := filepath.Base(filepath.Dir(f))
		tag, number, _ := strings.Cut(id, ".")
		index, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		st, err := s.look(id)
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

// Check finds nothing: a process can always be tried.
func (s *System) Check(context.Context) []harvester.Finding { return nil }

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
		return harvester.Status{State: harvester.Running, StartedAt: n.StartedAt}, nil
	}
	reason := "it ended while no harvester watched"
	if _, seen := s.adopted[id]; seen {
		reason = "it ended; a former harvester had started it, so nobody heard how"
	}
	if s.closed {
		reason = "ended with the harvester; a former one had started it, so nobody heard how"
	}
	return harvester.Status{State: harvester.Ended, ExitCode: -1, Reason: reason, StartedAt: n.StartedAt, EndedAt: time.Now().UTC()}, nil
}

func (j *job) status() harvester.Status {
	st := harvester.Status{State: harvester.Running, Node: j.node, Starts: 1, QueuedAt: j.started, StartedAt: j.started}
	if j.ended.IsZero() {
		if j.asked {
			st.State = harvester.Ending
		}
		return st
	}
	res, err := j.process.Wait()
	st.State, st.ExitCode, st.EndedAt = harvester.Ended, res.ExitCode, j.ended
	if res.Ended && j.asked {
		st.Cause = exitcode.Cancelled
	}
	switch {
	case err != nil:
		st.Reason, st.ExitCode = err.Error(), -1
	case res.Signal != "":
		st.Reason, st.Signal = "ended by signal: "+res.Signal, number(res.Signal)
	default:
		f, _ := exitcode.ByCode(res.ExitCode)
		st.Reason = f.Name
	}
	return st
}

// number is that of the signal with a name.
func number(name string) int {
	for n := 1; n < 65; n++ {
		if syscall.Signal(n).String() == name {
			return n
		}
	}
	return 0
}

// Cancel sends SIGTERM, and SIGKILL after the grace to our own.
func (s *System) Cancel(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if j, ours := s.jobs[id]; ours {
			j.asked = true
			j.cancel()
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
		j.cancel()
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
