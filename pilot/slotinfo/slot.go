package slotinfo

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/slotend"
)

// Config is what a pilot is told of its slot.
type Config struct {
	WallTime time.Duration `toml:"wall_time" help:"time that the pilot may hold its slot, from the start of the job; the harvester sets it"`
	Deadline string        `toml:"deadline" help:"time at which the pilot has to have left, such as 2026-07-01T06:00:00Z"`
	KillTime time.Duration `toml:"kill_time" help:"time that the batch system leaves between SIGTERM and SIGKILL (default: what its configuration says)"`

	// Token is idds' token, of which the end may be read.
	Token string `toml:"-"`
}

// batch is one batch system's part.
type batch interface {
	// look finds what files and environment say: name, id and facts by looked.
	look(s *Slot) looked
	// ask asks the batch system itself when the slot ends.
	ask(ctx context.Context, s *Slot) error
	// taken says who took the slot back, after a signal; nil where nobody knows.
	taken(ctx context.Context) error
}

// looked is what a batch system's files and environment say.
type looked struct {
	system, id    string
	cores, memory []amount
	kill          []amount // nanoseconds between SIGTERM and SIGKILL
	facts         []document.SlotFact
}

// Slot is what is known of one slot.
type Slot struct {
	machine Machine
	cfg     Config
	batches []batch
	system  string
	id      string
	kill    time.Duration
	// What does not change.
	cores, memory []amount
	facts         []document.SlotFact
	again         chan struct{} // has the batch system asked at once; holds one

	mu       sync.Mutex
	ends     map[string]end
	clockOff time.Duration
	age      time.Duration // of the job
	ofJob    bool          // the age is the job's, not only ours
	since    time.Time     // when the age was measured
	idle     time.Duration // how long the job was suspended since
}

var _ slotend.Place = (*Slot)(nil)

// New looks at what files and the environment say. It starts no command.
func New(m Machine, cfg Config) (*Slot, error) {
	s := &Slot{machine: m, cfg: cfg, ends: map[string]end{}, again: make(chan struct{}, 1)}
	s.measureAge()
	host, _ := os.Hostname()
	s.note("host", host, "hostname")
	s.cores, s.memory = m.nodeCores(), m.nodeMemory()
	var kill []amount
	for _, b := range []batch{slurmOf(m), condorOf(m)} {
		if b == nil {
			continue
		}
		s.batches = append(s.batches, b)
		found := b.look(s)
		// The inner one of two has the last word on who we are; an allocation of either is one.
		s.system, s.id = found.system, found.id
		s.cores, s.memory, kill = append(found.cores, s.cores...), append(found.memory, s.memory...), append(kill, found.kill...)
		s.facts = append(s.facts, found.facts...)
	}
	if cfg.KillTime > 0 {
		kill = []amount{{int64(cfg.KillTime), "kill_time, configured"}}
	}
	if i := smallest(kill); i >= 0 {
		s.kill = time.Duration(kill[i].n)
		s.facts = append(s.facts, facts("kill_time", kill, func(n int64) string { return time.Duration(n).String() })...)
	}
	if cfg.WallTime > 0 {
		e := in(cfg.WallTime-s.used(), "wall_time, configured, from the start of "+s.counted())
		s.set(keyWallTime, &e)
	}
	if cfg.Deadline != "" {
		at, err := time.Parse(time.RFC3339, cfg.Deadline)
		if err != nil {
			return nil, exitcode.New(exitcode.Usage, "--deadline %q is no time such as 2026-07-01T06:00:00Z", cfg.Deadline)
		}
		s.set(keyDeadline, &end{source: "deadline, configured", cause: exitcode.Walltime, at: at, absolute: true})
	}
	s.lookAtCredentials()
	return s, nil
}

// jobProcesses are the first process of a job on its node, by batch system.
var jobProcesses = []string{"slurmstepd", "condor_starter"}

// measureAge finds out how old the job is, by the process that the batch system runs for it, or at least how old we are.
func (s *Slot) measureAge() {
	first, ofJob := stat{}, false
	for _, name := range jobProcesses {
		if first, ofJob = s.machine.ancestor(name); ofJob {
			break
		}
	}
	if !ofJob {
		first, _ = s.machine.stat(s.machine.PID)
	}
	age, known := s.machine.age(first)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() || known {
		s.age, s.since, s.ofJob = age, time.Now(), known && ofJob
	}
}

func (s *Slot) counted() string {
	if s.ofJob {
		return "the job"
	}
	return "the pilot"
}

// used is the age of the job now, without the time that it was suspended for.
func (s *Slot) used() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.age + time.Since(s.since) - s.idle
}

// stood is for how long the job was suspended.
func (s *Slot) stood() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle
}

func (s *Slot) note(name, value, source string) {
	if value != "" {
		s.facts = append(s.facts, document.SlotFact{Name: name, Value: value, Source: source, Counts: true})
	}
}

// System and ID are the batch system that the environment speaks of, and the job's id there; empty for none.
func (s *Slot) System() string { return s.system }

// ID is the job's id in its batch system.
func (s *Slot) ID() string { return s.id }

// Cores is how many belong to the slot; 0 when that is not known.
func (s *Slot) Cores() int {
	if i := smallest(s.cores); i >= 0 {
		return int(s.cores[i].n)
	}
	return 0
}

// Memory is how many bytes belong to the slot; 0 when that is not known.
func (s *Slot) Memory() int64 {
	if i := smallest(s.memory); i >= 0 {
		return s.memory[i].n
	}
	return 0
}

// Fit is how many payloads fit into the slot, of which each takes so many cores and so much memory; at least one. What is not known
// does not count, and the pilot itself takes little.
func (s *Slot) Fit(coresEach int, memoryEach int64) int {
	const own = 100 << 20
	cores, memory := s.Cores(), s.Memory()
	n := max(cores, 1) / max(coresEach, 1)
	if memory > 0 && memoryEach > 0 {
		n = min(n, int((memory-own)/memoryEach))
	}
	return max(n, 1)
}

// KillTime is the time between SIGTERM and SIGKILL of the batch system; 0 when it is not known.
func (s *Slot) KillTime() time.Duration { return s.kill }

// Add adds what others have found out about the slot, before the pilot begins to report.
func (s *Slot) Add(f document.SlotFact) { s.facts = append(s.facts, f) }

// Document is all that is known now.
func (s *Slot) Document() document.Slot {
	d := document.Slot{Cores: s.Cores(), MemoryBytes: s.Memory()}
	if s.system != "" {
		d.Facts = append(d.Facts, document.SlotFact{Name: "batch_system", Value: s.system, Source: "the environment", Counts: true},
			document.SlotFact{Name: "batch_id", Value: s.id, Source: "the environment", Counts: true})
	}
	d.Facts = append(d.Facts, s.facts...)
	d.Facts = append(d.Facts, facts("cores", s.cores, coresText)...)
	d.Facts = append(d.Facts, facts("memory", s.memory, memoryText)...)
	off := s.off()
	for i, e := range s.soonest() {
		left := e.left(off)
		if i == 0 {
			d.EndsAt, d.EndsBy = time.Now().Add(left+off).UTC().Round(time.Second), e.source
		}
		d.Facts = append(d.Facts, document.SlotFact{
			Name: "end", Value: time.Now().Add(left + off).UTC().Format(time.RFC3339), Source: e.source, Counts: i == 0,
		})
	}
	if off != 0 {
		value := off.Round(time.Second).String() + " behind"
		if off < 0 {
			value = (-off).Round(time.Second).String() + " ahead"
		}
		d.Facts = append(d.Facts, document.SlotFact{Name: "clock", Value: value, Source: "idds", Counts: true})
	}
	return d
}

// How often the batch system is asked: its answer changes only when somebody changes the job's time limit.
const (
	askEvery = 10 * time.Minute
	askLeast = 30 * time.Second
)

// Watch asks the batch system, and looks at credentials that may have been renewed, until ctx ends: at once, then seldom, and
// oftener as the end comes near. changed is called after every answer.
func (s *Slot) Watch(ctx context.Context, changed func(error)) {
	for {
		changed(s.Ask(ctx))
		wait := askEvery
		if e, ok := s.End(); ok {
			wait = min(wait, max(time.Until(e.At)/2, askLeast))
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-s.again:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// Ask asks once.
func (s *Slot) Ask(ctx context.Context) error {
	s.measureAge() // a node that sleeps has stopped the clock that it was counted on by since
	s.lookAtCredentials()
	var errs []error
	for _, b := range s.batches {
		errs = append(errs, b.ask(ctx, s))
	}
	return errors.Join(errs...)
}

// Suspended notes that the job stood still for a while: its batch system may count that, or not. Slurm does not when it was the one
// who suspended the job; that is believed until it has answered, for its old end may be over by now.
func (s *Slot) Suspended(d time.Duration) {
	s.mu.Lock()
	s.idle += d
	if e, ok := s.ends[keySlurm]; ok {
		e.at = e.at.Add(d)
		s.ends[keySlurm] = e
	}
	s.mu.Unlock()
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// Taken says who took the slot back, after a signal; nil where nobody knows.
func (s *Slot) Taken(ctx context.Context) error {
	for _, b := range slices.Backward(s.batches) {
		if err := b.taken(ctx); err != nil {
			return err
		}
	}
	return nil
}
