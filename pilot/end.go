package pilot

import (
	"context"
	"slices"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// takes are how long the last payloads took that did their work, by which it is judged whether another one fits.
type takes struct {
	ring [64]take
	n    int
}

type take struct {
	took   time.Duration
	frames int64
}

func (t *takes) note(took time.Duration, frames int64) {
	t.ring[t.n%len(t.ring)] = take{took, frames}
	t.n++
}

// mostLarger bounds how much longer a larger slice is taken to be: a file is not cut into slices that differ by more. One that claims
// more frames is found out as soon as it is worked on, and no pilot should leave because of it.
const mostLarger = 100

// expect is what a slice of so many frames takes in 95 of 100 cases, by those that there were. A larger slice takes longer in
// proportion; to a smaller one nothing is credited, for starting takes time too. Where there is room for the longest of them it is
// that: this is asked before every slice.
func (t *takes) expect(frames int64, room time.Duration) time.Duration {
	n := min(t.n, len(t.ring))
	if n == 0 {
		return 0
	}
	var all [len(t.ring)]time.Duration
	list := all[:n]
	for i, s := range t.ring[:n] {
		took := s.took
		if frames > s.frames && s.frames > 0 {
			took = time.Duration(float64(took) * min(float64(frames)/float64(s.frames), mostLarger))
		}
		list[i] = took
	}
	if longest := slices.Max(list); longest <= room {
		return longest
	}
	slices.Sort(list)
	return list[(n*95+99)/100-1]
}

// frames is the size of a slice; 0 when it does not say.
func frames(m message.Slice) int64 {
	return max(m.Content.End.Int64()-m.Content.Start.Int64()+1, 0)
}

// noTime is the reason not to begin another slice of so many frames, 0 for an ordinary one, after something that takes a time of
// its own; nil while one fits. Until idds has
// answered, or failed to, nothing is decided: it knows what the clock is worth.
func (p *Pilot) noTime(size int64, before time.Duration) error {
	p.awake(time.Now())
	end, ok := p.end()
	if !ok {
		return nil
	}
	left := time.Until(end.At)
	room := left - p.cfg.EndReserve - before
	p.mu.Lock()
	expected, by := p.takes.expect(size, room), "95 of 100 take no longer"
	if p.takes.n == 0 {
		expected, by = p.cfg.SliceTime, "--slice-time"
	}
	p.mu.Unlock()
	if room >= expected {
		return nil
	}
	return exitcode.New(end.Cause, "no time for another slice: the slot ends in %s (%s), less %s to leave in; a slice takes %s (%s)",
		(left - before).Round(time.Second), end.Source, p.cfg.EndReserve, expected.Round(time.Millisecond), by)
}

// end is the end of the slot, once it may be relied upon.
func (p *Pilot) end() (End, bool) {
	if p.place == nil {
		return End{}, false
	}
	select {
	case <-p.compared:
		return p.place.End()
	default:
		return End{}, false
	}
}

// watchEnd ends the taking when no slice fits any more, and the work when what is under way has no time left: whoever waited for
// the batch system to do that would lose it, and perhaps the word that it is lost. It looks at the time for as long as the pilot
// lives, so that somebody does (awake).
func (p *Pilot) watchEnd(ctx context.Context, stopTaking, stopWork func(error)) {
	t := time.NewTicker(lookForEnd)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if cause := p.noTime(0, 0); cause != nil {
			stopTaking(cause)
		}
		if end, ok := p.end(); ok && time.Until(end.At) < p.cfg.EndReserve {
			stopTaking(exitcode.New(end.Cause, "the slot ends (%s)", end.Source))
			stopWork(exitcode.New(end.Cause, "the slot ends (%s)", end.Source))
		}
	}
}
