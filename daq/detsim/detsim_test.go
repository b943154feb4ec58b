package detsim_test

import (
	"math"
	"slices"
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

func TestAFrameDependsOnItsNumberAlone(t *testing.T) {
	t.Parallel()
	a, b := generator(t), generator(t)
	_ = a.Frame(1, 5)
	if diff := cmp.Diff(a.Frame(2, 3), b.Frame(2, 3)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(a.Frame(2, 3).Time, a.Frame(3, 2).Time) {
		t.Error("two frames are the same")
	}
}

func TestFramesAreWhatTheConfigurationSays(t *testing.T) {
	t.Parallel()
	g := generator(t)
	collisions, tracks, hits, noise := 0, 0, 0, 0
	const n = 50
	for tf := range n {
		f := g.Frame(1, tf)
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
	f := g.Frame(1, 0)
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

func TestNonsenseIsRefusedTogether(t *testing.T) {
	t.Parallel()
	_, err := detsim.New(detsim.Config{Noise: 2, MaxEta: math.NaN()}, 1)
	if exitcode.From(err) != exitcode.BadConfig {
		t.Errorf("got %v", err)
	}
}

func BenchmarkFrame(b *testing.B) {
	g := generator(b)
	for i := range b.N {
		_ = g.Frame(1, i)
	}
}
