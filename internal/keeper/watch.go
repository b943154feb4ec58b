package keeper

import (
	"time"
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

// watch looks at what descends from a keeper: what it takes, and whether its time or memory is over. Looking costs some tens of
// microseconds for each process.
type watch struct {
	limits Limits
	meter  *Meter

	last    time.Time
	wait    time.Duration
	ran     time.Duration // time in which we ran, and the program could
	checked time.Time
}

func newWatch(keeper int, l Limits) *watch {
	w := &watch{limits: l, meter: l.Meter, wait: l.firstLook()}
	if w.meter == nil {
		w.meter = &Meter{}
	}
	w.meter.start(keeper)
	w.last = time.Now()
	w.checked = w.last
	return w
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
	held, processes := w.meter.look(w.limits.MemoryBytes)
	now := w.pass()
	if w.limits.Sample != nil {
		w.limits.Sample(Sample{At: now, Bytes: held, CPU: w.meter.Seen().CPU(), Processes: processes})
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
	w.meter.ran(w.ran)
	return now
}

// finish brings what was seen into the result, beside what the keeper has told.
func (w *watch) finish(res *Result) {
	w.pass()
	seen := w.meter.end(Usage{User: res.User, System: res.System, ReadBytes: res.ReadBytes, WrittenBytes: res.WrittenBytes})
	// Of a keeper that was killed, and of programs that do not wait for their children, more was seen than was counted.
	res.User, res.System, res.ReadBytes, res.WrittenBytes = seen.User, seen.System, seen.ReadBytes, seen.WrittenBytes
	res.Ran = w.ran
	res.PeakBytes, res.Processes = seen.PeakBytes, max(1, seen.Processes)
	if res.PeakBytes == 0 {
		res.PeakBytes = res.MaxRSSBytes
	}
}
