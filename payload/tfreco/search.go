package tfreco

import "math"

// candidate is a track in the making: a hit or none (-1) on every layer, as places in layerHits.hits.
type candidate struct {
	helix
	on     [maxLayers]int32
	n      int
	time   float64 // mean of the pixel times, weighted
	weight float64
	chi2   float64
	// quality orders candidates: more hits first, then the better fit.
	quality float64
}

// search looks for candidates that start on three pixel layers, a outside b outside c, and go on over all others. Hits in
// use are passed over.
func (r *Reconstructor) search(a, b, c int) {
	la, lb, lc := &r.layers[a], &r.layers[b], &r.layers[c]
	maxTurn := math.Asin(clamp(r.maxKappa*la.radius/2)) - math.Asin(clamp(r.maxKappa*lb.radius/2))
	r.rewind()
	for i := range la.hits {
		ha := &la.hits[i]
		if ha.used {
			continue
		}
		inB, inC := lb.window(ha.t, r.halfWindow), lc.window(ha.t, r.halfWindow)
		for j := range inB {
			hb := &inB[j]
			if hb.used || math.Abs(wrap(ha.phi-hb.phi)) > maxTurn {
				continue
			}
			seed := helixThrough(hb, ha)
			if math.Abs(seed.z0) > r.cfg.MaxZ || math.Abs(seed.kappa) > r.maxKappa {
				continue
			}
			x, y, z, _, ok := seed.at(lc.radius)
			if !ok {
				continue
			}
			// The seed comes from the axis; a vertex off it shifts the crossing by less than its own distance.
			slackZ := r.cfg.Sigmas*(lb.sigmaZ+la.sigmaZ+lc.sigmaZ)*2 + seedSlackZ
			for k := range inC {
				hc := &inC[k]
				if hc.used || math.Abs(hc.z-z) > slackZ || math.Abs(hc.x-x) > r.cfg.MaxD || math.Abs(hc.y-y) > r.cfg.MaxD {
					continue
				}
				cand := candidate{helix: seed}
				for l := range cand.on {
					cand.on[l] = -1
				}
				cand.on[a], cand.on[b], cand.on[c] = int32(i), int32(lb.from+j), int32(lc.from+k)
				r.follow(&cand, ha.t)
			}
		}
	}
}

// seedSlackZ (mm) covers the bend between the straight prediction of z from an assumed origin and the true path.
const seedSlackZ = 0.3

// flightSlack (ns) covers the flight between the pixel layers.
const flightSlack = 5

// follow collects the best hit on each further pixel layer and keeps the candidate if it has enough and fits.
func (r *Reconstructor) follow(c *candidate, t float64) {
	if !r.refit(c) {
		return
	}
	missed := 0
	// From the outside in: the error of the prediction grows inward, and each hit found on the way reduces it.
	for l := r.pixels - 1; l >= 0; l-- {
		if c.on[l] >= 0 {
			continue
		}
		if r.takeBest(c, l, t) {
			if !r.refit(c) {
				return
			}
		} else if missed++; missed > r.cfg.MaxMissing {
			return
		}
	}
	ndf := float64(2*c.n - 5 + c.n - 1)
	c.chi2 = c.chi2XY + c.chi2Z + r.timeChi2(c)
	if c.chi2 > chi2Limit(ndf) || math.Abs(c.d) > r.cfg.MaxD || math.Abs(c.z0) > r.cfg.MaxZ || math.Abs(c.kappa) > r.maxKappa {
		return
	}
	c.quality = float64(c.n)*1000 - min(999, c.chi2/ndf)
	r.candidates = append(r.candidates, *c)
}

// chi2Limit leaves out one true track in some ten thousand.
func chi2Limit(ndf float64) float64 { return ndf + 4*math.Sqrt(2*ndf) + 8 }

// takeBest looks on layer l for the free hit nearest to the candidate in space and time.
func (r *Reconstructor) takeBest(c *candidate, l int, t float64) bool {
	layer := &r.layers[l]
	x, y, z, s, ok := c.at(layer.radius)
	if !ok {
		return false
	}
	varXY := c.varianceXY(x, y) + layer.sigmaRPhi*layer.sigmaRPhi
	varZ := c.covZ[0] + 2*s*c.covZ[1] + s*s*c.covZ[2] + layer.sigmaZ*layer.sigmaZ
	varT := layer.sigmaTime*layer.sigmaTime + 1/c.weight
	limit := r.cfg.Sigmas * r.cfg.Sigmas
	maxXY2, maxZ := limit*varXY, r.cfg.Sigmas*math.Sqrt(varZ)

	// t is the time of the outermost hit: the window's start was set for it by the seed loop.
	window := layer.window(t, r.halfWindow)
	best, bestChi2 := -1, 3*limit
	for i := range window {
		h := &window[i]
		if h.used || math.Abs(h.z-z) > maxZ {
			continue
		}
		dx, dy, dt := h.x-x, h.y-y, h.t-c.time
		d2 := dx*dx + dy*dy
		if d2 > maxXY2 || dt*dt > limit*varT {
			continue
		}
		if chi2 := d2/varXY + (h.z-z)*(h.z-z)/varZ + dt*dt/varT; chi2 < bestChi2 {
			best, bestChi2 = i, chi2
		}
	}
	if best < 0 {
		return false
	}
	c.on[l] = int32(layer.from + best)
	return true
}

// varianceXY is the variance of the prediction across the track near a point.
func (c *candidate) varianceXY(x, y float64) float64 {
	sin, cos := math.Sincos(c.phi)
	along, across := x*cos+y*sin, -x*sin+y*cos
	k := 1 + c.kappa*c.d
	dk, dp, dd := (x*x+y*y+c.d*c.d)/2-c.d*across, k*along, 1+c.kappa*(c.d-across)
	v := &c.covXY
	variance := dk*dk*v[0] + dp*dp*v[3] + dd*dd*v[5] + 2*(dk*dp*v[1]+dk*dd*v[2]+dp*dd*v[4])
	// Seen along the cylinder and not across the track, the error is larger by the inclination.
	return max(0, variance) / c.cos2(x*x+y*y)
}

// refit fits the candidate to the hits that it has.
func (r *Reconstructor) refit(c *candidate) bool {
	points := r.points[:0]
	sumWT, sumW := 0.0, 0.0
	for l := range r.layers {
		if c.on[l] < 0 {
			continue
		}
		layer := &r.layers[l]
		h := &layer.hits[c.on[l]]
		points = append(points, point{
			x: h.x, y: h.y, z: h.z, r2: h.r * h.r,
			sigmaRPhi2: layer.sigmaRPhi * layer.sigmaRPhi, sigmaZ2: layer.sigmaZ * layer.sigmaZ,
		})
		if l < r.pixels {
			w := 1 / (layer.sigmaTime * layer.sigmaTime)
			sumWT += w * h.t
			sumW += w
		}
	}
	r.points = points
	c.n, c.time, c.weight = len(points), sumWT/sumW, sumW
	if !c.fitCircle(points, 2) {
		return false
	}
	c.fitLine(points)
	return true
}

// timeChi2 compares the pixel times with their mean.
func (r *Reconstructor) timeChi2(c *candidate) (chi2 float64) {
	for l := range r.pixels {
		if c.on[l] >= 0 {
			dt := (r.layers[l].hits[c.on[l]].t - c.time) / r.layers[l].sigmaTime
			chi2 += dt * dt
		}
	}
	return chi2
}
