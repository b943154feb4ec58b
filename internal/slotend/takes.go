package slotend

import (
	"slices"
	"time"
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
