package slotinfo

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/slotend"
)

// end is when something ends, by one source.
type end struct {
	source string
	cause  exitcode.Failure
	// at has a monotonic reading, so that a clock that is set does not move it, but for one that is absolute: that is a point in
	// time on somebody else's clock.
	at       time.Time
	absolute bool
}

// never is as far off as any end is: what means "never", such as the year 9999, is further off than a duration can be.
const never = 100 * 365 * 24 * time.Hour

// times is n units, which may be meant to be never.
func times(n int64, unit time.Duration) time.Duration {
	most := int64(never / unit)
	return time.Duration(max(min(n, most), -most)) * unit
}

// in is an end after a duration.
func in(left time.Duration, source string) end {
	return end{source: source, cause: exitcode.Walltime, at: time.Now().Add(left)}
}

// left is the time until the end; off is how far the clock of idds is ahead of ours.
func (e end) left(off time.Duration) time.Duration {
	if !e.absolute {
		return time.Until(e.at)
	}
	return min(time.Until(e.at.Round(0)), never) - off // Round takes the monotonic reading away
}

// agreement is how close what clocks say is to what ages say where none is off.
const agreement = 2 * time.Minute

// steady chooses between what clocks say of the time left, and what the age of the job says. They agree, but where a clock is off,
// or the process whose age it is came late to the job: age is believed only where that is not so.
func steady(clock, age time.Duration, ofJob bool) (left time.Duration, doubt string) {
	switch {
	case (clock - age).Abs() <= agreement:
		return min(clock, age), ""
	case ofJob:
		return age, fmt.Sprintf(", by the age of the job: a clock is off by %s", (clock - age).Abs().Round(time.Second))
	default:
		return clock, ""
	}
}

// source keys of ends that replace each other when they are asked again.
const (
	keyWallTime = "wall_time"
	keyDeadline = "deadline"
)

// soonest are all ends, the soonest first.
func (s *Slot) soonest() []end {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []end
	for _, e := range s.ends {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b end) int {
		return cmp.Or(cmp.Compare(a.left(s.clockOff), b.left(s.clockOff)), cmp.Compare(a.source, b.source))
	})
	return list
}

// End is the soonest of all ends, by the clock of this process.
func (s *Slot) End() (slotend.End, bool) {
	list := s.soonest()
	if len(list) == 0 {
		return slotend.End{}, false
	}
	e := list[0]
	at := time.Now().Add(e.left(s.off()))
	source := e.source
	if off := s.off(); e.absolute && off.Abs() >= clockNoise {
		source += ", by the clock of idds"
	}
	return slotend.End{At: at, Source: source, Cause: e.cause}, true
}

// clockNoise is below what any clock of a node may be off without anybody minding.
const clockNoise = 5 * time.Second

// ClockOff notes how far the clock of idds is ahead of this machine's. What is less than noise is not worth a word.
func (s *Slot) ClockOff(off time.Duration) {
	if off.Abs() < clockNoise {
		off = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if (off-s.clockOff).Abs() >= clockNoise || off == 0 {
		s.clockOff = off
	}
}

func (s *Slot) off() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clockOff
}

// set replaces the end of a key; nil takes it away.
func (s *Slot) set(key string, e *end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == nil {
		delete(s.ends, key)
		return
	}
	s.ends[key] = *e
}
