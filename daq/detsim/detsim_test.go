package detsim_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/daq/detsim"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

func generator(tb testing.TB) *detsim.Generator {
	tb.Helper()
	g, err := detsim.New(detsim.Config{}, 7)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func frame(tb testing.TB, g *detsim.Generator, sequence, tf int) *stf.Frame {
	tb.Helper()
	f, err := g.Frame(sequence, tf)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func TestAFrameDependsOnItsNumberAlone(t *testing.T) {
	t.Parallel()
	a, b := generator(t), generator(t)
	_ = frame(t, a, 1, 5)
	if diff := cmp.Diff(frame(t, a, 2, 3), frame(t, b, 2, 3)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(frame(t, a, 2, 3).Time, frame(t, a, 3, 2).Time) {
		t.Error("two frames are the same")
	}
}

func TestFramesAreWhatTheConfigurationSays(t *testing.T) {
	t.Parallel()
	g := generator(t)
	collisions, tracks, hits, noise := 0, 0, 0, 0
	const n = 50
	for tf := range n {
		f := frame(t, g, 1, tf)
		collisions += len(f.Truth.EventTime)
		tracks += len(f.Truth.TrackPT)
		hits += len(f.Time)
		for _, k := range f.Truth.HitTrack {
			if k < 0 {
				noise++
			}
		}
		if !slices.IsSorted(f.Time) {
			t.Error("hits are not in the order of their times")
		}
	}
	near := func(name string, got, want, tolerance float64) {
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
	near("collisions per frame", float64(collisions)/n, 45, 4)
	near("tracks per collision", float64(tracks)/float64(collisions), 5, 0.3)
	near("share of noise", float64(noise)/float64(hits), 0.10, 0.01)
}

// A particle's hits must lie on its helix: the smeared points are within a few sigma of the layers that it crosses, and the
// timing hit is as late as its flight.
func TestHitsLieOnLayersAndInTime(t *testing.T) {
	t.Parallel()
	g := generator(t)
	layers := g.Geometry().Layers
	f := frame(t, g, 1, 0)
	for i := range f.Time {
		l := layers[f.Layer[i]]
		if r := math.Hypot(float64(f.X[i]), float64(f.Y[i])); math.Abs(r-l.RadiusMM) > 0.01 {
			t.Fatalf("a hit of layer %d at radius %g", f.Layer[i], r)
		}
		k := f.Truth.HitTrack[i]
		if k < 0 {
			continue
		}
		late := f.Time[i] - f.Truth.EventTime[f.Truth.TrackEvent[k]]
		if l.Kind == stf.KindTiming && (late < l.RadiusMM/299.8-0.2 || late > 20) {
			t.Errorf("timing hit %g ns after its collision", late)
		}
		if l.Kind == stf.KindPixel && math.Abs(late) > 1020 {
			t.Errorf("pixel hit %g ns after its collision", late)
		}
	}
}

// sample is what a configuration makes in some frames.
type sample struct {
	frames                                int
	collisions, overlapping, tracks, hits float64
	noise, minPT, sumPT, maxEta, lastNS   float64
	sumZ2, sumXY2                         float64
}

func take(t *testing.T, cfg detsim.Config, frames int) sample {
	t.Helper()
	g, err := detsim.New(cfg, 11)
	if err != nil {
		t.Fatal(err)
	}
	s := sample{frames: frames, minPT: math.Inf(1)}
	for tf := range frames {
		f := frame(t, g, 1, tf)
		truth := f.Truth
		s.collisions += float64(len(truth.EventTime))
		for i, at := range truth.EventTime {
			for j, other := range truth.EventTime {
				if i != j && math.Abs(at-other) < 2000 {
					s.overlapping++
					break
				}
			}
			s.sumZ2 += float64(truth.EventZ[i] * truth.EventZ[i])
			s.sumXY2 += float64(truth.EventX[i]*truth.EventX[i]+truth.EventY[i]*truth.EventY[i]) / 2
		}
		s.tracks += float64(len(truth.TrackPT))
		for i, pt := range truth.TrackPT {
			s.sumPT += float64(pt)
			s.minPT = min(s.minPT, float64(pt))
			s.maxEta = max(s.maxEta, math.Abs(float64(truth.TrackEta[i])))
		}
		s.hits += float64(len(f.Time))
		for i, k := range truth.HitTrack {
			s.lastNS = max(s.lastNS, f.Time[i])
			if k < 0 {
				s.noise++
			}
		}
	}
	return s
}

// expect compares with a relative tolerance.
func expect(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*want) {
		t.Errorf("%s: %g, want %g", name, got, want)
	}
}

func TestEverythingIsSettable(t *testing.T) {
	t.Parallel()
	s := take(t, detsim.Config{
		FrameNS: 100_000, Collisions: 20, Tracks: 8, MeanPT: 2, MinPT: 0.5, MaxEta: 0.5, VertexZ: 60, VertexXY: 1, Noise: 0.3,
	}, 100)
	expect(t, "collisions per frame", s.collisions/100, 20, 0.05)
	expect(t, "tracks per collision", s.tracks/s.collisions, 8, 0.05)
	expect(t, "mean pT", s.sumPT/s.tracks, 2.5, 0.05)
	expect(t, "lowest pT", s.minPT, 0.5, 0.01)
	expect(t, "highest eta", s.maxEta, 0.5, 0.01)
	expect(t, "spread along the beam", math.Sqrt(s.sumZ2/s.collisions), 60, 0.05)
	expect(t, "spread across the beam", math.Sqrt(s.sumXY2/s.collisions), 1, 0.05)
	expect(t, "share of noise", s.noise/s.hits, 0.3, 0.05)
	expect(t, "last hit", s.lastNS, 100_000, 0.01)
}

func TestWhatIsSetToZeroIsZero(t *testing.T) {
	t.Parallel()
	s := take(t, detsim.Config{FrameNS: 100_000, Collisions: 5, Tracks: 1, MeanPT: 1, MinPT: 0.5, MaxEta: 1}, 20)
	if s.noise != 0 || s.sumZ2 != 0 || s.sumXY2 != 0 {
		t.Errorf("%+v", s)
	}
	if s := take(t, detsim.Config{FrameNS: 100_000, Tracks: 1, MeanPT: 1, MinPT: 0.5, MaxEta: 1}, 20); s.hits != 0 {
		t.Errorf("without collisions %g hits", s.hits)
	}
}

// Collisions come at random, so that with 45 in 661 us every fourth has another within the 2 us of the pixels.
func TestCollisionsOverlap(t *testing.T) {
	t.Parallel()
	s := take(t, detsim.Config{}, 100)
	expect(t, "share of overlapping collisions", s.overlapping/s.collisions, 1-math.Exp(-45.0*2*2000/661000), 0.1)
}

func TestTheDetectorIsTheOneOfTheDocuments(t *testing.T) {
	t.Parallel()
	g := generator(t).Geometry()
	if g.FieldTesla != 1.7 || g.FrameNS != 665000 || !strings.Contains(g.Source, "ePIC") {
		t.Errorf("%+v", g)
	}
	var radii []float64
	for _, l := range g.Layers {
		radii = append(radii, l.RadiusMM)
		switch l.Kind {
		case stf.KindPixel:
			expect(t, "integration time of a pixel", l.SigmaTimeNS*math.Sqrt(12), 2000, 1e-6)
		case stf.KindTiming:
			if l.SigmaTimeNS < 0.03 || l.SigmaTimeNS > 0.1 {
				t.Errorf("timing layer of %g ns", l.SigmaTimeNS)
			}
		}
	}
	if diff := cmp.Diff([]float64{36, 48, 120, 270, 420, 640}, radii); diff != "" {
		t.Error(diff)
	}
}

// Layers lose hits as their efficiency says, pixels know the time to 2 us and the timing layer to 30 ps.
func TestLayersMeasureAsTheGeometrySays(t *testing.T) {
	t.Parallel()
	g := generator(t)
	layers := g.Geometry().Layers
	hits := make([]float64, len(layers))
	tracks, n, sum2 := 0.0, 0.0, 0.0
	for tf := range 100 {
		f := frame(t, g, 1, tf)
		straight := make([]bool, len(f.Truth.TrackPT)) // those that cross all layers for sure
		for i, pt := range f.Truth.TrackPT {
			if straight[i] = pt > 0.5; straight[i] {
				tracks++
			}
		}
		for i, k := range f.Truth.HitTrack {
			if k < 0 || !straight[k] {
				continue
			}
			hits[f.Layer[i]]++
			if layers[f.Layer[i]].Kind == stf.KindPixel {
				late := f.Time[i] - f.Truth.EventTime[f.Truth.TrackEvent[k]]
				n, sum2 = n+1, sum2+late*late
			}
		}
	}
	for i, l := range layers {
		expect(t, fmt.Sprintf("efficiency of layer %d", i), hits[i]/tracks, l.Efficiency, 0.003)
	}
	expect(t, "spread of pixel times", math.Sqrt(sum2/n), 2000/math.Sqrt(12), 0.01)
}

func TestNonsenseIsRefusedTogether(t *testing.T) {
	t.Parallel()
	_, err := detsim.New(detsim.Config{Noise: 2, MaxEta: math.NaN()}, 1)
	if exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), "--detector-noise 2") || !strings.Contains(err.Error(), "--detector-max-eta") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkFrame(b *testing.B) {
	g := generator(b)
	for i := range b.N {
		_ = frame(b, g, 1, i)
	}
}
