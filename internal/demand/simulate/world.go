package simulate

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tfpilot/internal/demand"
	"tfpilot/internal/document"
)

const (
	// look is how often the strategy is asked, as idds asks its policy; every so manieth time the harvester acts.
	look, acts = 2.0, 5
	// silence is after how long a dead worker is noticed.
	silence = 15.0
)

// Result is what became of a run.
type Result struct {
	Strategy string `json:"strategy"`
	Slices   int    `json:"slices"`
	// Share is that of the slices with a result within the goal.
	Share float64 `json:"share"`
	// WorkerSeconds are from when a worker could have its first slice, or the run's first came, until it left; StartSeconds those before.
	WorkerSeconds float64 `json:"worker_seconds"`
	StartSeconds  float64 `json:"start_seconds"`
	// Busy is the share of the worker seconds in which a slice was processed.
	Busy    float64 `json:"busy"`
	Most    int     `json:"most_workers"`
	Changes int     `json:"changes"`
	Turns   int     `json:"turns"`
	// P95 is how long after a slice was taken its result came, at most, for 95 % of them.
	P95 float64 `json:"p95_seconds"`
}

// worker is one of the simulated workers.
type worker struct {
	submitted, ready float64
	speed            float64 // how many times as long it takes
	state            document.WorkerPhase
	slice            int // in hand, or -1
	until            float64
	gone             float64 // when it is noticed that it died; 0 while it lives
}

type kind int

const (
	finishes kind = iota
	readies
	looks
	dies
)

type event struct {
	at     float64
	kind   kind
	worker *worker
}

// before orders events by their times, and by what happens at one.
func (e event) before(other event) bool {
	return e.at < other.at || e.at == other.at && e.kind < other.kind
}

// plan notes an event. There are as many as workers, and most come soon: the next is the last.
func (w *world) plan(e event) {
	i, _ := slices.BinarySearchFunc(w.events, e, func(a, b event) int {
		if b.before(a) {
			return -1
		}
		return 1
	})
	w.events = slices.Insert(w.events, i, e)
}

func (w *world) next() event {
	e := w.events[len(w.events)-1]
	w.events = w.events[:len(w.events)-1]
	return e
}

// world is a run under way.
type world struct {
	Scenario
	strategy Strategy
	goal     float64
	random   *rand.Rand
	slices   []slice
	events   []event // the next is the last
	now      float64
	queue    []int
	workers  []*worker
	came     int
	done     int
	late     []float64 // how long each took from being taken

	meter   demand.Meter
	startup demand.Times
	result  Result
	wanted  int
	looks   int
	up      bool
	started int
	busy    float64
}

// Run takes a strategy through a scenario.
func Run(ctx context.Context, s Scenario, seed uint64, strategy Strategy, goal time.Duration) (Result, error) {
	w := &world{
		Scenario: s, strategy: strategy, goal: goal.Seconds(), random: rand.New(rand.NewPCG(seed, 2)), slices: s.slices(seed),
		startup: demand.Times{HalfLife: demand.StartupHalfLife}, now: -s.Lead.Seconds(),
	}
	w.plan(event{w.now, looks, nil})
	if s.Dying > 0 {
		w.plan(event{s.DieAt.Seconds(), dies, nil})
	}
	for n := 0; !w.over(); n++ {
		if n%10_000 == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if w.came < len(w.slices) && w.slices[w.came].at <= w.events[len(w.events)-1].at {
			w.now = w.slices[w.came].at
			w.arrive()
			continue
		}
		e := w.next()
		w.now = e.at
		w.happen(e)
	}
	return w.sum(), nil
}

func (w *world) over() bool { return w.done == len(w.slices) && w.now >= w.Beam.Seconds() }

// arrive has the next slice come.
func (w *world) arrive() {
	w.meter.Add(1, w.time())
	w.queue = append(w.queue, w.came)
	w.came++
	w.hand()
}

func (w *world) happen(e event) {
	switch e.kind {
	case finishes:
		wk := e.worker
		if wk.gone > 0 || wk.slice < 0 || wk.until != e.at {
			return
		}
		w.finish(wk)
	case readies:
		wk := e.worker
		if wk.state == document.WorkerStarting {
			wk.state, wk.ready = document.WorkerRunning, w.now
			w.startup.Add(demand.Bin(w.now-wk.submitted), 1, w.time())
			w.hand()
		}
	case looks:
		w.look()
		w.plan(event{w.now + look, looks, nil})
	case dies:
		ready := w.of(document.WorkerRunning)
		for _, wk := range ready[:int(float64(len(ready))*w.Dying)] {
			if wk.slice >= 0 { // the broker has it again
				w.queue = slices.Insert(w.queue, 0, wk.slice)
				w.busy -= wk.until - w.now
			}
			wk.slice, wk.gone = -1, w.now+silence
			w.leave(wk)
			wk.state = document.WorkerRunning // nobody knows yet
		}
		w.hand()
	}
}

func (w *world) time() time.Time {
	return time.Unix(1_000_000_000, 0).Add(time.Duration((w.now + w.Lead.Seconds()) * float64(time.Second))).UTC()
}

// of are the workers in a state, the newest first.
func (w *world) of(state document.WorkerPhase) (out []*worker) {
	for _, wk := range slices.Backward(w.workers) {
		if wk.state == state {
			out = append(out, wk)
		}
	}
	return out
}

// hand gives waiting slices to idle workers.
func (w *world) hand() {
	if len(w.queue) == 0 {
		return
	}
	for _, wk := range w.workers {
		if len(w.queue) == 0 {
			return
		}
		if wk.state != document.WorkerRunning || wk.slice >= 0 || wk.gone > 0 {
			continue
		}
		wk.slice, w.queue = w.queue[0], w.queue[1:]
		took := w.slices[wk.slice].work * wk.speed
		wk.until = w.now + took
		w.busy += took
		w.plan(event{wk.until, finishes, wk})
	}
}

func (w *world) finish(wk *worker) {
	took := w.slices[wk.slice].work * wk.speed
	w.late = append(w.late, w.now-w.slices[wk.slice].at)
	w.done++
	w.strategy.Took(took, w.time())
	wk.slice = -1
	if wk.state == document.WorkerDraining {
		w.leave(wk)
		return
	}
	w.hand()
}

// leave ends a worker.
func (w *world) leave(wk *worker) {
	could := w.now // have a slice
	if wk.state != document.WorkerStarting {
		could = min(w.now, max(wk.ready, 0))
	}
	w.result.WorkerSeconds += w.now - could
	w.result.StartSeconds += could - wk.submitted
	wk.state = document.WorkerEnded
}

// snapshot is how the run stands.
func (w *world) snapshot() demand.Snapshot {
	r := demand.Run{
		Namespace: "simulated", ID: w.Name, State: document.RunOpen, Request: demand.Request{Workers: w.Asked, ProcessingTime: w.Guess, RampUp: w.Startup},
		Arrived: w.meter.Arrived(w.time()), Waiting: len(w.queue), Announced: -1, Startup: w.startup.Took(),
	}
	if w.now >= w.Beam.Seconds() {
		r.State, r.Announced = document.RunEnding, 0
	}
	r.Paused = w.now >= 0 && w.rate(w.now) == 0
	at := demand.Workers{}
	for _, wk := range w.workers {
		switch wk.state {
		case document.WorkerStarting:
			at.Starting++
		case document.WorkerRunning:
			at.Ready++
			at.Slots++
		case document.WorkerDraining:
			at.Draining++
		default:
		}
		if wk.slice >= 0 {
			r.Running++
		}
	}
	r.Workers = []demand.Workers{at}
	return demand.Snapshot{Now: w.time(), Runs: []demand.Run{r}}
}

// look asks the strategy, and now and then does what it wants.
func (w *world) look() {
	n := w.strategy.Wanted(w.snapshot)
	if n != w.wanted {
		w.result.Changes++
		if up := n > w.wanted; up != w.up {
			w.result.Turns++
			w.up = up
		}
	}
	w.wanted = n
	w.result.Most = max(w.result.Most, n)
	if w.looks++; (w.looks-1)%acts == 0 {
		w.act()
	}
}

// act has as many workers as are wanted.
func (w *world) act() {
	for _, wk := range w.workers {
		if wk.state == document.WorkerRunning && wk.gone > 0 && wk.gone <= w.now {
			wk.state = document.WorkerEnded
		}
	}
	w.workers = slices.DeleteFunc(w.workers, func(wk *worker) bool { return wk.state == document.WorkerEnded })
	n := w.wanted
	starting, running := w.of(document.WorkerStarting), w.of(document.WorkerRunning)
	have := len(starting) + len(running)
	for ; have < n; have++ {
		w.submit()
	}
	for i := 0; i < len(starting) && have > n; i++ {
		w.leave(starting[i])
		have--
	}
	slices.SortStableFunc(running, func(a, b *worker) int { // idle ones first, then slow ones
		return cmp.Or(cmp.Compare(min(a.slice, 0), min(b.slice, 0)), cmp.Compare(b.speed, a.speed))
	})
	for i := 0; i < len(running) && have > n; i++ {
		wk := running[i]
		if wk.gone > 0 {
			continue
		}
		if have--; wk.slice < 0 {
			w.leave(wk)
		} else {
			wk.state = document.WorkerDraining
		}
	}
}

func (w *world) submit() {
	wk := &worker{submitted: w.now, speed: 1, slice: -1, state: document.WorkerStarting}
	took := around(w.random, w.Startup.Seconds())
	if w.started++; w.Slow > 0 && w.started%w.Slow == 0 {
		wk.speed = w.SlowBy
	}
	w.workers = append(w.workers, wk)
	w.plan(event{w.now + took, readies, wk})
}

// sum ends the run.
func (w *world) sum() Result {
	for _, wk := range w.workers {
		if wk.state != document.WorkerEnded && wk.gone == 0 {
			w.leave(wk)
		}
	}
	r := &w.result
	r.Strategy, r.Slices = w.strategy.Name(), len(w.late)
	within := 0
	for _, l := range w.late {
		if l <= w.goal {
			within++
		}
	}
	slices.Sort(w.late)
	r.Share = float64(within) / math.Max(1, float64(len(w.late)))
	if n := len(w.late); n > 0 {
		r.P95 = w.late[int(0.95*float64(n))]
	}
	r.Busy = w.busy / math.Max(1, r.WorkerSeconds)
	return *r
}
