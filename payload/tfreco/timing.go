package tfreco

import (
	"math"
	"slices"
)

// lightSpeed in mm/ns.
const lightSpeed = 299.792458

// masses (GeV) are the kinds of particles that a flight time is computed for: pion, kaon, proton. Their logarithmic weights
// say how common they are, so that a kaon is assumed only where the time asks for it.
var (
	masses      = [...]float64{0.13957, 0.49368, 0.93827}
	massWeights = [...]float64{-0.2, -2.1, -2.5}
)

// addTiming extends a track to the timing layer. It takes the free hit that fits best in space and, within the pixels' poor
// resolution, in time; then the track has a time of some ten picoseconds.
func (r *Reconstructor) addTiming(c *candidate) {
	if r.timing < 0 {
		return
	}
	layer := &r.layers[r.timing]
	x, y, z, s, ok := c.at(layer.radius)
	if !ok || math.Abs(z) > layer.halfLength+edgeSlack {
		return
	}
	varXY := c.varianceXY(x, y) + layer.sigmaRPhi*layer.sigmaRPhi
	varZ := c.covZ[0] + 2*s*c.covZ[1] + s*s*c.covZ[2] + layer.sigmaZ*layer.sigmaZ
	halfT := r.cfg.Sigmas / math.Sqrt(c.weight)
	limit := r.cfg.Sigmas * r.cfg.Sigmas
	best, bestChi2 := -1, 2*limit
	for i := layer.first(c.time - halfT); i < len(layer.hits) && layer.hits[i].t < c.time+halfT+flightSlack; i++ {
		h := &layer.hits[i]
		if h.used {
			continue
		}
		chi2 := (h.z-z)*(h.z-z)/varZ + ((h.x-x)*(h.x-x)+(h.y-y)*(h.y-y))/varXY
		if chi2 < bestChi2 {
			best, bestChi2 = i, chi2
		}
	}
	if best < 0 {
		return
	}
	before := *c
	c.on[r.timing] = int32(best)
	if !r.refit(c) {
		*c = before
		return
	}
	c.chi2 += bestChi2
	layer.hits[best].used = true
}

// edgeSlack (mm) keeps hits that were measured just beyond the end of a layer.
const edgeSlack = 5

// first is the first hit not before a time.
func (l *layerHits) first(t float64) int {
	i, _ := slices.BinarySearchFunc(l.hits, t, func(h hit, t float64) int {
		if h.t < t {
			return -1
		}
		return 1
	})
	return i
}

// setTimes computes when the track left its vertex, for each kind of particle, and takes it for a pion until its event is
// known.
func (r *Reconstructor) setTimes(t *Track, c *candidate) {
	slope := math.Sqrt(1 + c.cot*c.cot)
	p := kappaToPT * math.Abs(r.field/c.kappa) * slope
	var arrival, path float64
	if slot := c.on[r.timingSlot()]; slot >= 0 {
		layer := &r.layers[r.timing]
		h := &layer.hits[slot]
		arrival, path = h.t, c.pathTo(h)
		t.Precise, t.TimeError = true, layer.sigmaTime
	} else {
		// The flight to the middle of the pixels takes a nanosecond; their time is known to a microsecond.
		arrival, path = c.time, r.layers[r.pixels/2].radius
		t.TimeError = 1 / math.Sqrt(c.weight)
	}
	for i, m := range masses {
		inverseBeta := math.Sqrt(1 + m*m/(p*p))
		t.times[i] = arrival - path*slope*inverseBeta/lightSpeed
	}
	t.Time, t.Mass = t.times[0], masses[0]
}

// timingSlot is the timing layer's place in candidate.on; the last one, never filled, where there is no timing layer.
func (r *Reconstructor) timingSlot() int {
	if r.timing < 0 {
		return maxLayers - 1
	}
	return r.timing
}

// pathTo is the transverse path from the closest approach to a hit.
func (c *candidate) pathTo(h *hit) float64 {
	sin, cos := math.Sincos(c.phi)
	return arc(c.kappa, math.Hypot(h.x+c.d*sin, h.y-c.d*cos))
}
