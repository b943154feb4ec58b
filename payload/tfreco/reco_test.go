package tfreco_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/stf"
	"tfpilot/payload/tfreco"
)

func TestASingleHelixIsFoundWithItsParameters(t *testing.T) {
	t.Parallel()
	for _, p := range []particle{
		{t: 1000, z: 0, pt: 1, eta: 0, phi: 0, charge: 1, mass: pion},
		{t: 300000.25, z: 55, pt: 0.4, eta: -0.9, phi: 3.1, charge: -1, mass: pion},
		{t: 5000, z: -20, pt: 5, eta: 0.7, phi: -3.14, charge: 1, mass: pion},
		{t: 5000, z: 20, pt: 50, eta: 0.1, phi: 1.5, charge: -1, mass: pion},
		{t: 5000, z: -120, pt: 0.25, eta: 0.3, phi: -1.5, charge: 1, mass: pion},
	} {
		t.Run(fmt.Sprintf("%g GeV", p.pt), func(t *testing.T) {
			t.Parallel()
			var f stf.Frame
			fly(&f, detector(), p)
			out := reconstructor(t, detector()).Reconstruct(&f)
			if len(out.Tracks) != 1 || len(out.Events) != 1 || out.Skipped != 0 {
				t.Fatalf("%d tracks, %d events, %d skipped", len(out.Tracks), len(out.Events), out.Skipped)
			}
			got, ev := out.Tracks[0], out.Events[0]
			// Positions are stored to 0.03 um or so.
			for name, d := range map[string]float64{
				"pT":         (got.PT - p.pt) / p.pt / 1e-3,
				"eta":        (got.Eta - p.eta) / 1e-4,
				"phi":        math.Remainder(got.Phi-p.phi, 2*math.Pi) / 1e-4,
				"distance":   got.D / 0.002,
				"z":          (got.Z - p.z) / 0.002,
				"time":       (got.Time - p.t) / 0.001,
				"event time": (ev.Time - p.t) / 0.001,
				"event z":    (ev.Z - p.z) / 0.002,
			} {
				if !(math.Abs(d) < 1) {
					t.Errorf("%s is off by %g tolerances: %+v", name, d, got)
				}
			}
			if got.Charge != p.charge || !got.Precise || !ev.Precise {
				t.Errorf("charge %d, precise %v %v", got.Charge, got.Precise, ev.Precise)
			}
		})
	}
}

func TestTheChargeFollowsFromTheBendAndTheField(t *testing.T) {
	t.Parallel()
	for _, field := range []float64{1.7, -1.7, 3, -0.5} {
		for _, charge := range []int{1, -1} {
			g := detector()
			g.FieldTesla = field
			var f stf.Frame
			fly(&f, g, particle{t: 1000, pt: 0.8, eta: 0.2, phi: 1, charge: charge, mass: pion})
			out := reconstructor(t, g).Reconstruct(&f)
			if len(out.Tracks) != 1 || out.Tracks[0].Charge != charge || math.Abs(out.Tracks[0].PT-0.8) > 0.001 {
				t.Errorf("charge %d in %g T: %+v", charge, field, out.Tracks)
			}
		}
	}
}

func TestAParticleMayMissOnePixelLayerAndTheTimingLayer(t *testing.T) {
	t.Parallel()
	g := detector()
	timing := len(g.Layers) - 1
	r := reconstructor(t, g)
	for layer := range timing {
		for without, want := range map[int][]int{1: {layer}, 2: {layer, timing}} {
			var f stf.Frame
			fly(&f, g, particle{t: 1000, pt: 0.8, eta: 0.2, phi: 1, charge: 1, mass: pion}, want...)
			if out := r.Reconstruct(&f); len(out.Tracks) != 1 || out.Tracks[0].Precise != (without == 1) {
				t.Errorf("without layers %v: %d tracks", want, len(out.Tracks))
			}
		}
		var f stf.Frame
		fly(&f, g, particle{t: 1000, pt: 0.8, eta: 0.2, phi: 1, charge: 1, mass: pion}, layer, (layer+1)%timing)
		if out := r.Reconstruct(&f); len(out.Tracks) != 0 {
			t.Errorf("without pixel layers %d and the next: a track", layer)
		}
	}
}

func TestCollisionsThatOverlapInThePixelsAreToldApartByTheTimingLayer(t *testing.T) {
	t.Parallel()
	g := detector()
	var f stf.Frame
	collision(&f, g, 10000, 10, 4)
	collision(&f, g, 10040, -30, 5)
	out := reconstructor(t, g).Reconstruct(&f)
	if len(out.Events) != 2 || out.Events[0].Tracks != 4 || out.Events[1].Tracks != 5 ||
		math.Abs(out.Events[0].Time-10000) > 0.01 || math.Abs(out.Events[1].Time-10040) > 0.01 || math.Abs(out.Events[1].Z+30) > 0.01 {
		t.Errorf("%+v", out.Events)
	}
	for i := range out.Tracks {
		if tr := &out.Tracks[i]; math.Abs(tr.Z-out.Events[tr.Event].Z) > 0.1 || math.Abs(tr.Residual) > 0.01 {
			t.Errorf("track at z %g, %g ns in event %+v", tr.Z, tr.Time, out.Events[tr.Event])
		}
	}
}

func TestWithoutATimingLayerEventsHaveThePixelsPrecision(t *testing.T) {
	t.Parallel()
	g := detector()
	g.Layers = g.Layers[:5]
	var f stf.Frame
	collision(&f, g, 10000, 10, 4)
	collision(&f, g, 30000, -30, 3)
	out := reconstructor(t, g).Reconstruct(&f)
	if len(out.Events) != 2 || len(out.Tracks) != 7 {
		t.Fatalf("%d events, %d tracks", len(out.Events), len(out.Tracks))
	}
	for i, want := range []float64{10000, 30000} {
		if ev := out.Events[i]; ev.Precise || math.Abs(ev.Time-want) > 10 || ev.TimeError < 50 || ev.TimeError > 577 {
			t.Errorf("%+v", ev)
		}
	}
}

func TestASlowProtonJoinsTheEventOfItsPions(t *testing.T) {
	t.Parallel()
	g := detector()
	var f stf.Frame
	collision(&f, g, 10000, 10, 4)
	fly(&f, g, particle{t: 10000, z: 10, pt: 0.5, eta: 0.1, phi: 0.7, charge: 1, mass: proton})
	out := reconstructor(t, g).Reconstruct(&f)
	if len(out.Events) != 1 || out.Events[0].Tracks != 5 || math.Abs(out.Events[0].Time-10000) > 0.01 {
		t.Fatalf("%+v", out.Events)
	}
	protons := 0
	for i := range out.Tracks {
		if out.Tracks[i].Mass == proton {
			protons++
		}
	}
	if protons != 1 {
		t.Errorf("%d protons", protons)
	}
}

func TestTheOrderOfHitsAndTheFramesBeforeDoNotMatter(t *testing.T) {
	t.Parallel()
	g := detector()
	var f stf.Frame
	for i := range 20 {
		collision(&f, g, 5000+300*float64(i), float64(10*i)-100, 5)
	}
	fresh := reconstructor(t, g).Reconstruct(&f)
	want := fmt.Sprintf("%+v", describe(fresh, &f))
	rng := rand.New(rand.NewPCG(1, 2))
	r := reconstructor(t, g)
	for range 5 {
		rng.Shuffle(len(f.Time), func(i, j int) {
			f.Time[i], f.Time[j] = f.Time[j], f.Time[i]
			f.X[i], f.X[j] = f.X[j], f.X[i]
			f.Y[i], f.Y[j] = f.Y[j], f.Y[i]
			f.Z[i], f.Z[j] = f.Z[j], f.Z[i]
			f.Layer[i], f.Layer[j] = f.Layer[j], f.Layer[i]
		})
		if got := fmt.Sprintf("%+v", describe(r.Reconstruct(&f), &f)); got != want {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	}
}

// describe is what was found, with the times of hits in place of their places.
func describe(out tfreco.Frame, f *stf.Frame) (list []string) {
	for i := range out.Events {
		ev := out.Events[i]
		list = append(list, fmt.Sprint(ev.Time, ev.TimeError, ev.Z, ev.Tracks, ev.Timed))
	}
	for i := range out.Tracks {
		tr := out.Tracks[i]
		var times []float64
		for _, h := range tr.Hits {
			if h >= 0 {
				times = append(times, f.Time[h])
			}
		}
		list = append(list, fmt.Sprint(tr.Event, tr.PT, tr.Phi, tr.Z, tr.Chi2, times))
	}
	return list
}

func TestHitsThatNoLayerCanHaveMadeAreCountedAndLeftOut(t *testing.T) {
	t.Parallel()
	g := detector()
	var f stf.Frame
	collision(&f, g, 10000, 0, 3)
	nan := math.NaN()
	for _, h := range [][5]float64{
		{-1, 1, 36, 0, 0},
		{6, 1, 36, 0, 0},
		{1e6, 1, 36, 0, 0},
		{0, nan, 36, 0, 0},
		{0, 1, nan, 0, 0},
		{0, 1, 0, 0, 0},
		{0, 1, math.Inf(1), 0, 0},
		{0, 1, 36, 0, math.Inf(-1)},
	} {
		add(&f, int(h[0]), h[1], h[2], h[3], h[4])
	}
	out := reconstructor(t, g).Reconstruct(&f)
	if out.Skipped != 8 || len(out.Tracks) != 3 {
		t.Errorf("%d skipped, %d tracks", out.Skipped, len(out.Tracks))
	}
}

// Nonsense must end in few or no tracks with finite numbers, never in a panic.
func TestNonsenseHitsGiveNoNonsenseTracks(t *testing.T) {
	t.Parallel()
	g := detector()
	r := reconstructor(t, g)
	rng := rand.New(rand.NewPCG(3, 4))
	pick := func(values ...float64) float64 { return values[rng.IntN(len(values))] }
	for range 300 {
		var f stf.Frame
		for range rng.IntN(60) {
			layer := rng.IntN(len(g.Layers))
			radius := pick(g.Layers[layer].RadiusMM, 1e-6, 1e30, 1)
			sin, cos := math.Sincos(pick(0, math.Pi, -math.Pi/2, rng.Float64()))
			add(&f, layer, pick(0, -1e300, 1e300, 5, 5.1, rng.Float64()), radius*cos, radius*sin, pick(0, 1e30, -1e30, 10, rng.Float64()))
		}
		out := r.Reconstruct(&f)
		for i := range out.Tracks {
			tr := &out.Tracks[i]
			for _, v := range []float64{tr.PT, tr.Eta, tr.Phi, tr.Z, tr.D, tr.Time, tr.TimeError, tr.CurvatureError, tr.ZError, tr.Chi2, out.Events[tr.Event].Time} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%+v of hits %+v", tr, f)
				}
			}
		}
	}
}

func TestADetectorThatCannotMeasureIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		edit       func(*stf.Geometry)
	}{
		{"no field", "magnetic field", func(g *stf.Geometry) { g.FieldTesla = 0 }},
		{"field that is no number", "magnetic field", func(g *stf.Geometry) { g.FieldTesla = math.NaN() }},
		{"three pixel layers", "3 pixel layers", func(g *stf.Geometry) { g.Layers = g.Layers[2:] }},
		{"no layers", "0 pixel layers", func(g *stf.Geometry) { g.Layers = nil }},
		{"too many layers", "17 layers", func(g *stf.Geometry) { g.Layers = slices.Repeat(g.Layers[:1], 17) }},
		{"no resolution", "layer 2", func(g *stf.Geometry) { g.Layers[2].SigmaZMM = 0 }},
		{"no radius", "layer 0", func(g *stf.Geometry) { g.Layers[0].RadiusMM = -1 }},
		{"no time", "layer 5", func(g *stf.Geometry) { g.Layers[5].SigmaTimeNS = math.Inf(1) }},
		{"unknown kind", `layer 3`, func(g *stf.Geometry) { g.Layers[3].Kind = "calorimeter" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := detector()
			c.edit(&g)
			_, err := tfreco.New(g, tfreco.Config{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"test"`) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func BenchmarkReconstruct(b *testing.B) {
	g := detector()
	rng := rand.New(rand.NewPCG(5, 6))
	var f stf.Frame
	for range 45 {
		collision(&f, g, rng.Float64()*665000, rng.NormFloat64()*30, 5)
	}
	for range len(f.Time) / 9 {
		layer := rng.IntN(len(g.Layers))
		sin, cos := math.Sincos(2 * math.Pi * rng.Float64())
		r := g.Layers[layer].RadiusMM
		add(&f, layer, rng.Float64()*665000, r*cos, r*sin, (2*rng.Float64()-1)*g.Layers[layer].HalfLengthMM)
	}
	r := reconstructor(b, g)
	b.ReportAllocs()
	for b.Loop() {
		if out := r.Reconstruct(&f); len(out.Tracks) < 200 {
			b.Fatalf("%d tracks", len(out.Tracks))
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
