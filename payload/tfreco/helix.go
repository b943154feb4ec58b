package tfreco

import "math"

// kappaToPT times field (T) over curvature (1/mm) is the transverse momentum in GeV.
const kappaToPT = 0.299792458e-3

// helix is a track by its point of closest approach to the z axis: signed curvature kappa (1/mm, positive turns left),
// direction phi and signed distance d (mm) there, and z = z0 + s*cot along the path s in the transverse plane.
type helix struct {
	kappa, phi, d float64
	z0, cot       float64

	// Covariances of (kappa, phi, d) and of (z0, cot), upper triangles by rows.
	covXY [6]float64
	covZ  [3]float64
	// chi2XY and chi2Z are of the last fit.
	chi2XY, chi2Z float64
}

// point is a hit as the fit sees it.
type point struct {
	x, y, z             float64
	r2                  float64
	sigmaRPhi2, sigmaZ2 float64
}

// helixThrough is the helix that comes from the axis through two hits, the inner one first. It starts the search, whose
// windows allow for vertices off the axis; fits free it from this assumption.
func helixThrough(in, out *hit) helix {
	turn := wrap(out.phi - in.phi)
	// The axis and the two hits lie on one circle; the angle under which the axis sees the chord gives its radius.
	h := helix{kappa: 2 * math.Sin(turn) / math.Hypot(out.x-in.x, out.y-in.y)}
	h.phi = out.phi - math.Asin(clamp(h.kappa*out.r/2))
	sIn, sOut := arc(h.kappa, in.r), arc(h.kappa, out.r)
	h.cot = (out.z - in.z) / (sOut - sIn)
	h.z0 = out.z - h.cot*sOut
	return h
}

// arc is the path along a circle of curvature kappa over a chord.
func arc(kappa, chord float64) float64 {
	q := kappa * chord / 2
	if math.Abs(q) < 1e-4 {
		return chord * (1 + q*q/6)
	}
	return 2 / kappa * math.Asin(clamp(q))
}

// at is where the outgoing helix crosses a cylinder: position, path from the axis, and the sine of its inclination against
// the radius. ok is false when it turns back before.
func (h *helix) at(r float64) (x, y, z, s float64, ok bool) {
	n := h.d*h.kappa + 1
	// The crossing as components along the normal and along the direction at the closest approach.
	u := (h.kappa*(r*r+h.d*h.d)/2 + h.d) / n
	v2 := r*r - u*u
	if v2 <= 0 {
		return 0, 0, 0, 0, false
	}
	v := math.Sqrt(v2)
	sin, cos := math.Sincos(h.phi)
	s = arc(h.kappa, math.Hypot(v, u-h.d))
	return v*cos - u*sin, v*sin + u*cos, h.z0 + h.cot*s, s, true
}

// fitCircle moves kappa, phi and d to the least squares of the points' distances from the circle, starting where the helix
// is. The distance f (Karimäki's, exact to second order in the distance itself) is nearly linear in the parameters: two steps are enough from any
// start that the search accepts. ok is false when the points do not determine a circle.
func (h *helix) fitCircle(points []point, steps int) (ok bool) {
	for range steps {
		var m [6]float64 // normal matrix, upper triangle
		var g [3]float64
		h.chi2XY = 0
		sin, cos := math.Sincos(h.phi)
		for i := range points {
			p := &points[i]
			along, across := p.x*cos+p.y*sin, -p.x*sin+p.y*cos
			k := 1 + h.kappa*h.d
			f := h.kappa*(p.r2+h.d*h.d)/2 - k*across + h.d
			dk, dp, dd := (p.r2+h.d*h.d)/2-h.d*across, k*along, 1+h.kappa*(h.d-across)
			w := 1 / (p.sigmaRPhi2 * h.cos2(p.r2))
			h.chi2XY += w * f * f
			m[0] += w * dk * dk
			m[1] += w * dk * dp
			m[2] += w * dk * dd
			m[3] += w * dp * dp
			m[4] += w * dp * dd
			m[5] += w * dd * dd
			g[0] += w * dk * f
			g[1] += w * dp * f
			g[2] += w * dd * f
		}
		if h.covXY, ok = invert3(m); !ok {
			return false
		}
		c := &h.covXY
		step := [3]float64{
			c[0]*g[0] + c[1]*g[1] + c[2]*g[2],
			c[1]*g[0] + c[3]*g[1] + c[4]*g[2],
			c[2]*g[0] + c[4]*g[1] + c[5]*g[2],
		}
		h.kappa -= step[0]
		h.phi -= step[1]
		h.d -= step[2]
		// What the step gains: exact for a linear problem, and this one nearly is.
		h.chi2XY -= g[0]*step[0] + g[1]*step[1] + g[2]*step[2]
	}
	h.chi2XY = max(h.chi2XY, 0)
	h.phi = wrap(h.phi)
	return true
}

// cos2 is the squared cosine of the inclination against the radius: the rphi error of a hit on a cylinder, seen across the
// track, shrinks by it. Bounded, because near the turning point it would claim that a hit has no error at all.
func (h *helix) cos2(r2 float64) float64 {
	return max(0.05, 1-h.kappa*h.kappa*r2/4)
}

// fitLine fits z against the path for the circle as it stands.
func (h *helix) fitLine(points []point) {
	var s0, s1, s2, z0, z1, zz float64
	sin, cos := math.Sincos(h.phi)
	px, py := -h.d*sin, h.d*cos
	for i := range points {
		p := &points[i]
		s := arc(h.kappa, math.Hypot(p.x-px, p.y-py))
		// Along the track the rphi error shows as an error of the path.
		w := 1 / (p.sigmaZ2 + h.cot*h.cot*p.sigmaRPhi2*(1-h.cos2(p.r2)))
		s0 += w
		s1 += w * s
		s2 += w * s * s
		z0 += w * p.z
		z1 += w * s * p.z
		zz += w * p.z * p.z
	}
	det := s0*s2 - s1*s1
	h.z0 = (s2*z0 - s1*z1) / det
	h.cot = (s0*z1 - s1*z0) / det
	h.covZ = [3]float64{s2 / det, -s1 / det, s0 / det}
	h.chi2Z = max(0, zz-h.z0*z0-h.cot*z1)
}

// invert3 inverts a symmetric 3x3 matrix given by its upper triangle.
func invert3(m [6]float64) (inv [6]float64, ok bool) {
	c0 := m[3]*m[5] - m[4]*m[4]
	c1 := m[2]*m[4] - m[1]*m[5]
	c2 := m[1]*m[4] - m[2]*m[3]
	det := m[0]*c0 + m[1]*c1 + m[2]*c2
	if !(det > 0) || math.IsInf(det, 0) {
		return inv, false
	}
	return [6]float64{
		c0 / det, c1 / det, c2 / det,
		(m[0]*m[5] - m[2]*m[2]) / det, (m[1]*m[2] - m[0]*m[4]) / det,
		(m[0]*m[3] - m[1]*m[1]) / det,
	}, true
}

// wrap brings an angle difference into (-pi, pi].
func wrap(a float64) float64 {
	switch {
	case a > math.Pi:
		return a - 2*math.Pi
	case a <= -math.Pi:
		return a + 2*math.Pi
	default:
		return a
	}
}

func clamp(q float64) float64 { return max(-1, min(1, q)) }
