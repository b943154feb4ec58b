package tfreco_test

import (
	"math"
	"testing"

	"go.uber.org/goleak"

	"tfpilot/internal/stf"
	"tfpilot/payload/tfreco"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	lightSpeed = 299.792458 // mm/ns
	pion       = 0.13957    // GeV
	proton     = 0.93827
)

// detector is five pixel layers and a timing layer.
func detector() stf.Geometry {
	g := stf.Geometry{Name: "test", FieldTesla: 1.7, FrameNS: 665000}
	for _, r := range []float64{36, 48, 120, 270, 420} {
		g.Layers = append(g.Layers, stf.Layer{
			Kind: stf.KindPixel, RadiusMM: r, HalfLengthMM: 1000, SigmaRPhiMM: 0.005, SigmaZMM: 0.005, SigmaTimeNS: 577, Efficiency: 1,
		})
	}
	g.Layers = append(g.Layers, stf.Layer{
		Kind: stf.KindTiming, RadiusMM: 640, HalfLengthMM: 1500, SigmaRPhiMM: 0.03, SigmaZMM: 2.9, SigmaTimeNS: 0.03, Efficiency: 1,
	})
	return g
}

// particle starts on the beam line.
type particle struct {
	t, z         float64
	pt, eta, phi float64
	charge       int
	mass         float64
}

// fly adds the particle's hits, without errors, on all layers but those left out.
func fly(f *stf.Frame, g stf.Geometry, p particle, without ...int) {
	radius := p.pt / (0.299792458e-3 * math.Abs(g.FieldTesla))
	turn := 1.0 // to the left
	if (p.charge > 0) == (g.FieldTesla > 0) {
		turn = -1
	}
	momentum := p.pt * math.Cosh(p.eta)
	speed := lightSpeed * momentum / math.Hypot(momentum, p.mass)
layers:
	for i, l := range g.Layers {
		for _, w := range without {
			if w == i {
				continue layers
			}
		}
		if l.RadiusMM >= 2*radius {
			continue
		}
		half := math.Asin(l.RadiusMM / (2 * radius))
		arc := 2 * radius * half
		sin, cos := math.Sincos(p.phi + turn*half)
		add(f, i, p.t+arc*math.Cosh(p.eta)/speed, l.RadiusMM*cos, l.RadiusMM*sin, p.z+arc*math.Sinh(p.eta))
	}
}

func add(f *stf.Frame, layer int, t, x, y, z float64) {
	f.Layer = append(f.Layer, int32(layer))
	f.Time = append(f.Time, t)
	f.X, f.Y, f.Z = append(f.X, float32(x)), append(f.Y, float32(y)), append(f.Z, float32(z))
}

// collision adds n pions of different directions from one place and time.
func collision(f *stf.Frame, g stf.Geometry, t, z float64, n int) {
	for i := range n {
		fly(f, g, particle{
			t: t, z: z, pt: 0.6 + 0.1*float64(i), eta: -0.8 + 1.6*float64(i)/float64(n), phi: 2.5*float64(i) - 3, charge: 1 - 2*(i%2), mass: pion,
		})
	}
}

func reconstructor(tb testing.TB, g stf.Geometry) *tfreco.Reconstructor {
	tb.Helper()
	r, err := tfreco.New(g, tfreco.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
