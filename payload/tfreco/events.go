package tfreco

import (
	"math"
	"slices"
)

// vertexSlack (mm) is added to the errors when a track is compared with an event's vertex: decays and scattering.
const vertexSlack = 0.3

// findEvents groups the tracks by time and vertex. Tracks with a precise time make the events: those of one collision agree
// within nanoseconds, while collisions follow each other after microseconds. Tracks without one join the event that
// fits, or, when there is none, make events of the pixels' precision among themselves.
func (r *Reconstructor) findEvents() {
	slices.SortFunc(r.tracks, func(a, b Track) int {
		switch {
		case a.Precise != b.Precise:
			if a.Precise {
				return -1
			}
			return 1
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		default:
			return slices.Compare(a.Hits[:], b.Hits[:])
		}
	})
	precise := 0
	for precise < len(r.tracks) && r.tracks[precise].Precise {
		precise++
	}
	r.group(0, precise, r.cfg.EventGap)
	withTiming := len(r.events)
	r.joinEvents(precise, withTiming)
	r.group(precise, len(r.tracks), 0)
	r.finishEvents()
}

// maxLate (ns) bounds how far back in time an event is looked for: no particle that reaches the timing layer is later.
const maxLate = 50

// group makes events of the tracks first to last that have none yet, in the order of their times. A track joins an event that
// opened shortly before it at its vertex: by gap, or by as much as a proton of its momentum would be late, or, for gap 0,
// by the errors. Otherwise it opens one.
func (r *Reconstructor) group(first, last int, gap float64) {
	opened := len(r.events)
	for i := first; i < last; i++ {
		t := &r.tracks[i]
		if t.Event >= 0 {
			continue
		}
		reach, furthest := gap+t.times[0]-t.times[len(t.times)-1], float64(maxLate)
		if gap == 0 {
			reach = r.cfg.Sigmas * math.Sqrt2 * t.TimeError
			furthest = reach
		}
		for e := len(r.events) - 1; e >= opened && t.Time-r.events[e].first <= furthest; e-- {
			if ev := &r.events[e]; t.Time-ev.first <= reach && r.sameVertex(t, ev) {
				t.Event = int32(e)
				break
			}
		}
		if t.Event < 0 {
			t.Event = int32(len(r.events))
			r.events = append(r.events, Event{Precise: t.Precise, first: t.Time})
		}
		r.add(&r.events[t.Event], t)
	}
}

// joinEvents gives every track from first on to the nearest of the events that it is compatible with.
func (r *Reconstructor) joinEvents(first, events int) {
	for i := first; i < len(r.tracks); i++ {
		t := &r.tracks[i]
		reach := r.cfg.Sigmas * t.TimeError
		best := math.Inf(1)
		for e := range r.events[:events] {
			ev := &r.events[e]
			dt := (t.Time - ev.first) / t.TimeError
			if math.Abs(t.Time-ev.first) > reach || !r.sameVertex(t, ev) {
				continue
			}
			dz := (t.Z - ev.z()) / (t.ZError + vertexSlack)
			if chi2 := dt*dt + dz*dz; chi2 < best {
				best = chi2
				t.Event = int32(e)
			}
		}
		if t.Event >= 0 {
			r.add(&r.events[t.Event], t)
		}
	}
}

// sameVertex compares the track's z with the event's. Both are taken at the beam line; the vertex lies off it by the size of
// the beam, which shifts the z of inclined tracks.
func (r *Reconstructor) sameVertex(t *Track, ev *Event) bool {
	return math.Abs(t.Z-ev.z()) < r.cfg.Sigmas*math.Sqrt(r.varianceZ(t)+1/ev.weightZ)+vertexSlack
}

func (r *Reconstructor) varianceZ(t *Track) float64 {
	return t.ZError*t.ZError + t.cot*t.cot*r.cfg.BeamSize*r.cfg.BeamSize
}

// add counts a track in.
func (r *Reconstructor) add(ev *Event, t *Track) {
	w := 1 / r.varianceZ(t)
	ev.weightZ += w
	ev.sumZ += w * t.Z
	ev.Tracks++
}

func (e *Event) z() float64 { return e.sumZ / e.weightZ }

// finishEvents fixes the events' times from their own tracks, and brings events into the order of time.
func (r *Reconstructor) finishEvents() {
	for e := range r.events {
		ev := &r.events[e]
		r.members = r.members[:0]
		for i := range r.tracks {
			if t := &r.tracks[i]; t.Event == int32(e) && t.Precise == ev.Precise {
				r.members = append(r.members, int32(i))
			}
		}
		r.setEventTime(ev)
		ev.Z, ev.ZError = ev.z(), 1/math.Sqrt(ev.weightZ)
	}
	r.orderEvents()
}

// setEventTime finds the time on which most members agree, each as the particle that suits it best, and takes the mean of
// those that do.
func (r *Reconstructor) setEventTime(ev *Event) {
	best, likelihood := 0.0, math.Inf(-1)
	for _, i := range r.members {
		for _, t := range r.tracks[i].times {
			sum := 0.0
			for _, k := range r.members {
				_, l := r.tracks[k].bestMass(t)
				sum += l
			}
			if sum > likelihood {
				best, likelihood = t, sum
			}
		}
	}
	sum, weight := 0.0, 0.0
	for _, i := range r.members {
		t := &r.tracks[i]
		m, l := t.bestMass(best)
		if l <= outlier {
			continue
		}
		t.Mass, t.Time = masses[m], t.times[m]
		w := 1 / (t.TimeError * t.TimeError)
		sum += w * (t.Time - best)
		weight += w
		ev.Timed++
	}
	ev.Time, ev.TimeError = best+sum/weight, 1/math.Sqrt(weight)
}

// outlier is the logarithmic likelihood of a track that agrees with its event's time as no particle.
const outlier = -12

// bestMass is the kind of particle as which the track agrees best with a time, and how well it does.
func (t *Track) bestMass(time float64) (kind int, likelihood float64) {
	likelihood = outlier
	for m, tm := range t.times {
		pull := (tm - time) / t.TimeError
		if l := massWeights[m] - pull*pull/2; l > likelihood {
			kind, likelihood = m, l
		}
	}
	return kind, likelihood
}

// orderEvents sorts the events by time and renumbers what the tracks say.
func (r *Reconstructor) orderEvents() {
	r.order = r.order[:0]
	for e := range r.events {
		r.events[e].number = int32(e)
	}
	slices.SortFunc(r.events, func(a, b Event) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		default:
			return int(a.number - b.number)
		}
	})
	for range r.events {
		r.order = append(r.order, 0)
	}
	for e := range r.events {
		r.order[r.events[e].number] = int32(e)
	}
	for i := range r.tracks {
		r.tracks[i].Event = r.order[r.tracks[i].Event]
	}
}
