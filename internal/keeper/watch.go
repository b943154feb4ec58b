package keeper

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/proc"
)

const (
	// firstLook keeps short programs from costing anything.
	firstLook = 100 * time.Millisecond
	// longest and shortest time between two looks.
	longest  = time.Second
	shortest = 20 * time.Millisecond
	// resolution is the share of its time so far after which a program is looked at again for its samples.
	resolution = 50
	// growth is how fast a program is taken to fill its memory, in bytes per second: what is left of a limit says when to look again.
	growth = 1 << 30
	// lateness is what a busy machine may add to the time between two looks. When it was more, this process was stopped.
	lateness = time.Second
)

// watch looks at what descends from a keeper: how much memory it takes, and whether its time or memory is over. Looking costs some
// tens of microseconds for each process.
type watch struct {
	keeper int
	limits Limits

	mu     sync.Mutex // of what follows: somebody may ask for a lap
	looked time.Time
	ofLap  Lap

	last      time.Time
	wait      time.Duration
	ran       time.Duration // time in which we ran, and the program could
	checked   time.Time
	peak      int64
	lookedRSS int64 // at the last look at proportional sizes
	processes int
	cpu       time.Duration
}

func newWatch(keeper int, l Limits) *watch {
	now := time.Now()
	return &watch{keeper: keeper, limits: l, last: now, checked: now, wait: l.firstLook()}
}

// firstLook is when a program is looked at first.
func (l Limits) firstLook() time.Duration {
	if l.Sample != nil {
		return shortest
	}
	return firstLook
}

// look returns when to look again, or what limit is passed.
func (w *watch) look() (next time.Duration, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pids := proc.Descendants(w.keeper)
	held, cpu := w.measure(pids)
	now := w.pass()
	if w.limits.Sample != nil {
		w.limits.Sample(Sample{At: now, Bytes: held, CPU: cpu, Processes: len(pids)})
	}
	if w.limits.Time > 0 && w.ran >= w.limits.Time {
		return 0, ErrTime
	}
	next = min(longest, w.wait+w.wait/2)
	if w.limits.Sample != nil {
		next = min(next, max(shortest, w.ran/resolution))
	}
	if limit := w.limits.MemoryBytes; limit > 0 {
		if held > limit {
			return 0, ErrMemory
		}
		next = min(next, max(shortest, time.Duration(float64(limit-held)/growth*float64(time.Second))))
	}
	if w.limits.Check != nil && now.Sub(w.checked) >= longest {
		w.checked = now
		if err := w.limits.Check(); err != nil {
			return 0, err
		}
		w.checked = time.Now()
	}
	if w.limits.Time > 0 {
		next = min(next, w.limits.Time-w.ran)
	}
	w.wait = next
	return next, nil
}

// pass counts the time since the last look.
func (w *watch) pass() (now time.Time) {
	now = time.Now()
	passed := now.Sub(w.last)
	w.last = now
	if passed > w.wait+lateness {
		passed = w.wait // we were stopped, and the program with us
	}
	w.ran += passed
	return now
}

// measure adds up what processes hold, and the time of processors that they have used.
func (w *watch) measure(pids []int) (held int64, cpu time.Duration) {
	for _, pid := range pids {
		s, ok := proc.Look(pid)
		if !ok {
			continue
		}
		held += s.ResidentBytes
		cpu += s.CPU
	}
	w.processes, w.cpu, w.looked = max(w.processes, len(pids)), max(w.cpu, cpu), time.Now()
	defer func() {
		w.ofLap = Lap{w.cpu, max(w.ofLap.PeakBytes, held), max(w.ofLap.Processes, len(pids))}
	}()
	// What is shared counts for each in resident sizes, once in proportional ones. These take the kernel a walk through all
	// pages: they are asked for only when there could be a new peak.
	if change := w.lookedRSS / 256; held > w.peak && (held > w.lookedRSS+change || held < w.lookedRSS-change) {
		w.lookedRSS = held
		held = proportional(pids, held)
		w.peak = max(w.peak, held)
	} else {
		held = min(held, w.peak)
	}
	return held, cpu
}

// lap is what was seen since the last one. Its CPU time is that of the whole life. It is looked at now, unless that was a moment ago.
func (w *watch) lap() Lap {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.looked) >= firstLook {
		w.measure(proc.Descendants(w.keeper))
	}
	lap := w.ofLap
	w.ofLap = Lap{CPU: w.cpu}
	return lap
}

// proportional is the sum of proportional set sizes; resident when the kernel does not tell them.
func proportional(pids []int, resident int64) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			if _, gone := os.Stat(fmt.Sprintf("/proc/%d", pid)); gone != nil {
				continue
			}
			return resident
		}
		_, after, ok := bytes.Cut(b, []byte("\nPss:"))
		f := strings.Fields(string(after[:min(len(after), 40)]))
		if !ok || len(f) == 0 {
			continue // a process that has no memory any more
		}
		kB, _ := strconv.ParseInt(f[0], 10, 64)
		sum += kB << 10
	}
	return sum
}

// finish brings what was seen into the result.
func (w *watch) finish(res *Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass()
	res.Ran = w.ran
	res.PeakBytes, res.Processes = w.peak, max(1, w.processes)
	if w.peak == 0 {
		res.PeakBytes = res.MaxRSSBytes
	}
	if res.User+res.System < w.cpu {
		// Of a keeper that was killed, and of programs that do not wait for their children, more was seen than was counted.
		res.User += w.cpu - res.User - res.System
	}
}
