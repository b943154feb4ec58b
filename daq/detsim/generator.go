package detsim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

// Config is what happens in the detector. Lengths are mm, times ns, momenta GeV.
//
// Without FrameNS, which cannot be 0, every field that is 0 gets its default. With it all are taken as they are: then noise 0 is
// no noise.
type Config struct {
	FrameNS    float64 `toml:"frame_ns" default:"665000" help:"length of a time frame in ns (2^16 bunch crossings)"`
	Collisions float64 `toml:"collisions" default:"45" zero:"true" help:"mean collisions in a frame"`
	Tracks     float64 `toml:"tracks" default:"5" help:"mean charged particles of a collision"`
	MeanPT     float64 `toml:"mean_pt" default:"0.7" help:"mean of the exponential transverse momentum above min_pt, in GeV"`
	MinPT      float64 `toml:"min_pt" default:"0.2" help:"lowest transverse momentum, in GeV"`
	MaxEta     float64 `toml:"max_eta" default:"1.1" help:"particles are uniform in pseudorapidity up to here"`
	VertexZ    float64 `toml:"vertex_z" default:"30" zero:"true" help:"spread of the vertices along the beam, in mm"`
	VertexXY   float64 `toml:"vertex_xy" default:"0.1" zero:"true" help:"spread of the vertices across the beam, in mm"`
	// Noise is the share of all hits that no particle made.
	Noise float64 `toml:"noise" default:"0.10" zero:"true" help:"share of the hits that are noise, 0 to 0.9"`
}

// Physical constants.
const (
	speedOfLight = 299.792458  // mm/ns
	pionMass     = 0.13957     // GeV
	curvature    = 0.299792458 // pT (GeV) = curvature * field (T) * radius (m)
)

// guardNS keeps collisions away from the frame's ends, so that their hits are in the frame.
const guardNS = integrationNS

// Generator makes frames. It has no state: its methods may be called from any goroutine.
type Generator struct {
	cfg      Config
	seed     uint64
	geometry stf.Geometry
}

// New makes a generator for a seed.
func New(cfg Config, seed uint64) (*Generator, error) {
	if cfg.FrameNS == 0 {
		config.Defaults(&cfg)
	}
	var errs []error
	for _, c := range []struct {
		name          string
		value, lo, hi float64
	}{
		{"frame-ns", cfg.FrameNS, 4 * guardNS, 1e9},
		{"collisions", cfg.Collisions, 0, 1e5},
		{"tracks", cfg.Tracks, 0.1, 1000},
		{"mean-pt", cfg.MeanPT, 0.01, 100},
		{"min-pt", cfg.MinPT, 0.01, 100},
		{"max-eta", cfg.MaxEta, 0.01, 3},
		{"vertex-z", cfg.VertexZ, 0, 1000},
		{"vertex-xy", cfg.VertexXY, 0, 10},
		{"noise", cfg.Noise, 0, 0.9},
	} {
		if !(c.value >= c.lo && c.value <= c.hi) { // NaN too
			errs = append(errs, fmt.Errorf("--detector-%s %g: must be %g to %g", c.name, c.value, c.lo, c.hi))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, exitcode.Wrap(exitcode.BadConfig, err)
	}
	return &Generator{cfg: cfg, seed: seed, geometry: Central(cfg.FrameNS)}, nil
}

// Geometry is the detector.
func (g *Generator) Geometry() stf.Geometry { return g.geometry }

// Frame makes frame tf of STF number sequence, with its truth. There is no error.
func (g *Generator) Frame(sequence, tf int) (*stf.Frame, error) {
	m := maker{g: g, rng: rand.New(rand.NewPCG(g.seed, uint64(sequence)<<32|uint64(uint32(tf)))), truth: &stf.Truth{}}
	for range m.poisson(g.cfg.Collisions) {
		m.collision()
	}
	m.noise()
	return m.frame(tf), nil
}

// maker makes one frame.
type maker struct {
	g     *Generator
	rng   *rand.Rand
	hits  []hit
	truth *stf.Truth
}

type hit struct {
	t       float64
	x, y, z float32
	layer   int32
	track   int32
}

func (m *maker) collision() {
	c := m.g.cfg
	t := guardNS + m.rng.Float64()*(c.FrameNS-2*guardNS)
	x, y, z := m.rng.NormFloat64()*c.VertexXY, m.rng.NormFloat64()*c.VertexXY, m.rng.NormFloat64()*c.VertexZ
	event := int32(len(m.truth.EventTime))
	m.truth.EventTime = append(m.truth.EventTime, t)
	m.truth.EventNumber = append(m.truth.EventNumber, int64(event))
	m.truth.EventX = append(m.truth.EventX, float32(x))
	m.truth.EventY = append(m.truth.EventY, float32(y))
	m.truth.EventZ = append(m.truth.EventZ, float32(z))
	for range max(1, m.poisson(c.Tracks)) {
		p := particle{
			t: t, x: x, y: y, z: z,
			pt:  c.MinPT + m.rng.ExpFloat64()*c.MeanPT,
			eta: (2*m.rng.Float64() - 1) * c.MaxEta,
			phi: (2*m.rng.Float64() - 1) * math.Pi,
			q:   1 - 2*m.rng.IntN(2),
		}
		m.track(p, event)
	}
}

// particle is a charged pion at its vertex.
type particle struct {
	t, x, y, z   float64
	pt, eta, phi float64
	q            int
}

// track flies a particle through the layers.
func (m *maker) track(p particle, event int32) {
	number := int32(len(m.truth.TrackPT))
	sinhEta := math.Sinh(p.eta)
	momentum := p.pt * math.Cosh(p.eta)
	speed := speedOfLight * momentum / math.Hypot(momentum, pionMass)
	hits := int32(0)
	for i, l := range m.g.geometry.Layers {
		x, y, arc, ok := p.cross(l.RadiusMM, m.g.geometry.FieldTesla)
		z := p.z + arc*sinhEta
		if !ok || math.Abs(z) > l.HalfLengthMM {
			continue
		}
		if m.rng.Float64() >= l.Efficiency {
			continue
		}
		m.add(i, l, x, y, z, p.t+arc*math.Cosh(p.eta)/speed, number)
		hits++
	}
	m.truth.TrackEvent = append(m.truth.TrackEvent, event)
	m.truth.TrackPT = append(m.truth.TrackPT, float32(p.pt))
	m.truth.TrackEta = append(m.truth.TrackEta, float32(p.eta))
	m.truth.TrackPhi = append(m.truth.TrackPhi, float32(p.phi))
	m.truth.TrackCharge = append(m.truth.TrackCharge, int32(p.q))
	m.truth.TrackHits = append(m.truth.TrackHits, hits)
}

// cross is where the particle first meets a cylinder, and the transverse arc length until there (mm). A positive particle in a
// field along +z turns clockwise.
func (p particle) cross(radius, field float64) (x, y, arc float64, ok bool) {
	bend := p.pt / (curvature * math.Abs(field)) * 1000
	turn := 1.0
	if (p.q > 0) == (field > 0) {
		turn = -1
	}
	sin, cos := math.Sincos(p.phi)
	cx, cy := p.x-turn*bend*sin, p.y+turn*bend*cos
	d := math.Hypot(cx, cy)
	if d == 0 || radius > d+bend || radius < math.Abs(d-bend) {
		return 0, 0, 0, false
	}
	// The two intersections of the circles around the axis and around (cx, cy).
	along := (radius*radius - bend*bend + d*d) / (2 * d)
	across := math.Sqrt(max(0, radius*radius-along*along))
	ux, uy := cx/d, cy/d
	best := math.Inf(1)
	for _, side := range [2]float64{1, -1} {
		px, py := along*ux-side*across*uy, along*uy+side*across*ux
		// The angle turned since the vertex, in (0, 2 pi).
		angle := turn * (math.Atan2(py-cy, px-cx) - math.Atan2(p.y-cy, p.x-cx))
		if angle <= 0 {
			angle += 2 * math.Pi
		}
		if angle > 2*math.Pi {
			angle -= 2 * math.Pi
		}
		if angle < best {
			best, x, y = angle, px, py
		}
	}
	return x, y, best * bend, true
}

// add measures a hit.
func (m *maker) add(i int, l stf.Layer, x, y, z, t float64, track int32) {
	phi := math.Atan2(y, x) + m.rng.NormFloat64()*l.SigmaRPhiMM/l.RadiusMM
	sin, cos := math.Sincos(phi)
	if l.Kind == stf.KindTiming {
		t += m.rng.NormFloat64() * l.SigmaTimeNS
	} else {
		t += (m.rng.Float64() - 0.5) * integrationNS
	}
	m.hits = append(m.hits, hit{
		t: t, x: float32(l.RadiusMM * cos), y: float32(l.RadiusMM * sin), z: float32(z + m.rng.NormFloat64()*l.SigmaZMM),
		layer: int32(i), track: track,
	})
}

// noise adds hits that no particle made, uniform in time and over the layers.
func (m *maker) noise() {
	share := m.g.cfg.Noise
	layers := m.g.geometry.Layers
	for range m.poisson(float64(len(m.hits)) * share / (1 - share)) {
		i := m.rng.IntN(len(layers))
		l := layers[i]
		sin, cos := math.Sincos(2 * math.Pi * m.rng.Float64())
		m.hits = append(m.hits, hit{
			t: m.rng.Float64() * m.g.cfg.FrameNS, x: float32(l.RadiusMM * cos), y: float32(l.RadiusMM * sin),
			z: float32((2*m.rng.Float64() - 1) * l.HalfLengthMM), layer: int32(i), track: -1,
		})
	}
}

// frame puts the hits into columns in the order of their times.
func (m *maker) frame(tf int) *stf.Frame {
	slices.SortFunc(m.hits, func(a, b hit) int { return cmp.Compare(a.t, b.t) })
	n := len(m.hits)
	f := &stf.Frame{
		TF: tf, Time: make([]float64, n), X: make([]float32, n), Y: make([]float32, n), Z: make([]float32, n),
		Layer: make([]int32, n), Truth: m.truth,
	}
	m.truth.HitTrack, m.truth.HitEvent = make([]int32, n), make([]int32, n)
	for i, h := range m.hits {
		m.truth.HitEvent[i] = -1
		if h.track >= 0 {
			m.truth.HitEvent[i] = m.truth.TrackEvent[h.track]
		}
		f.Time[i], f.X[i], f.Y[i], f.Z[i], f.Layer[i], m.truth.HitTrack[i] = h.t, h.x, h.y, h.z, h.layer, h.track
	}
	return f
}

// poisson draws by Knuth's product for small means and by the normal approximation above, where its error does not matter.
func (m *maker) poisson(mean float64) int {
	if mean > 500 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*m.rng.NormFloat64())))
	}
	limit, product, n := math.Exp(-mean), m.rng.Float64(), 0
	for product > limit {
		product *= m.rng.Float64()
		n++
	}
	return n
}
