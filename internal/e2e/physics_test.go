package e2e_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/internal/stf"
	"tfpilot/payload/tfreco"
)

// physicsFrames are enough for a per mille on the tracks.
const physicsFrames = 200

// reconstructed is what was found in a file, held against what was simulated.
type reconstructed struct {
	tracks, foundTracks int // true ones in the fiducial range, and those of them that a track was made of
	made, fakes         int // tracks in the range, and those of them that are of no particle
	pulls, residuals    []float64
	// By the number of other collisions within the pixels' integration time: collisions with at least 3 tracks, and those of
	// them whose time was found.
	events, foundEvents map[int]int
}

// physics reconstructs a file once for all tests.
var physics = sync.OnceValues(func() (*reconstructed, error) {
	path, err := physicsFile()
	if err != nil {
		return nil, err
	}
	r, err := stf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	truth := make([]stf.Truth, r.Frames())
	if err := r.ReadTruth(0, r.Frames()-1, func(tf int, t *stf.Truth) error {
		truth[tf] = clone(t)
		return nil
	}); err != nil {
		return nil, err
	}
	reco, err := tfreco.New(r.Geometry(), tfreco.Config{})
	if err != nil {
		return nil, err
	}
	bending := 0.299792458e-3 * r.Geometry().FieldTesla
	out := &reconstructed{events: map[int]int{}, foundEvents: map[int]int{}}
	return out, r.Read(0, r.Frames()-1, func(f *stf.Frame) error {
		found := reco.Reconstruct(f)
		out.matchTracks(found.Tracks, &truth[f.TF], bending)
		out.matchEvents(found.Events, &truth[f.TF], r.Geometry())
		return nil
	})
})

var physicsFile = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	g, err := detsim.New(detsim.Config{}, 7)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "physics.stf")
	_, err = daq.Write(context.Background(), g, path, 1, physicsFrames, func() {})
	return path, err
})

// clone copies what ReadTruth reuses.
func clone(t *stf.Truth) stf.Truth {
	return stf.Truth{
		EventTime: slices.Clone(t.EventTime), EventZ: slices.Clone(t.EventZ), TrackEvent: slices.Clone(t.TrackEvent),
		TrackPT: slices.Clone(t.TrackPT), TrackEta: slices.Clone(t.TrackEta), TrackPhi: slices.Clone(t.TrackPhi),
		TrackCharge: slices.Clone(t.TrackCharge), TrackHits: slices.Clone(t.TrackHits), HitTrack: slices.Clone(t.HitTrack),
	}
}

// fiducial is where the issue of the reconstruction is decided: pT > 0.5 GeV and |eta| < 1.
func fiducial(pt, eta float64) bool { return pt > 0.5 && math.Abs(eta) < 1 }

// matchTracks takes a track for that of a particle when most of its hits are the particle's.
// bending is the curvature (1/mm) of 1 GeV.
func (r *reconstructed) matchTracks(tracks []tfreco.Track, truth *stf.Truth, bending float64) {
	matched := make([]bool, len(truth.TrackPT))
	for i := range tracks {
		t := &tracks[i]
		particle, ok := particleOf(t, truth)
		if fiducial(t.PT, t.Eta) {
			r.made++
			if !ok {
				r.fakes++
			}
		}
		if !ok {
			continue
		}
		matched[particle] = true
		pt := float64(truth.TrackPT[particle])
		if fiducial(pt, float64(truth.TrackEta[particle])) {
			have, want := float64(t.Charge)/t.PT, float64(truth.TrackCharge[particle])/pt
			r.residuals = append(r.residuals, (have-want)*pt)
			// The fit's error is of the curvature in 1/mm; that over the bending of 1 GeV is of q/pT.
			r.pulls = append(r.pulls, (have-want)/(t.CurvatureError/bending))
		}
	}
	for p, pt := range truth.TrackPT {
		if fiducial(float64(pt), float64(truth.TrackEta[p])) {
			r.tracks++
			if matched[p] {
				r.foundTracks++
			}
		}
	}
}

func particleOf(t *tfreco.Track, truth *stf.Truth) (particle int32, ok bool) {
	votes, hits := map[int32]int{}, 0
	for _, h := range t.Hits {
		if h >= 0 {
			hits++
			votes[truth.HitTrack[h]]++
		}
	}
	for p, n := range votes {
		if p >= 0 && 2*n > hits {
			return p, true
		}
	}
	return 0, false
}

// matchEvents takes a collision's time for found when an event is within 0.2 ns of it.
func (r *reconstructed) matchEvents(events []tfreco.Event, truth *stf.Truth, g stf.Geometry) {
	integration := math.Sqrt(12) * g.Layers[0].SigmaTimeNS
	tracks := make([]int, len(truth.EventTime))
	for p, e := range truth.TrackEvent {
		if truth.TrackHits[p] >= 4 {
			tracks[e]++
		}
	}
	for e, t := range truth.EventTime {
		if tracks[e] < 3 {
			continue
		}
		overlaps := -1 // itself
		for _, other := range truth.EventTime {
			if math.Abs(other-t) < integration {
				overlaps++
			}
		}
		r.events[overlaps]++
		if slices.ContainsFunc(events, func(ev tfreco.Event) bool { return math.Abs(ev.Time-t) < 0.2 }) {
			r.foundEvents[overlaps]++
		}
	}
}

func reconstruct(t *testing.T) *reconstructed {
	t.Helper()
	r, err := physics()
	must(t, err)
	return r
}

func TestMoreThan95PercentOfTheTracksAreFoundAndLessThan5PercentAreFake(t *testing.T) {
	t.Parallel()
	r := reconstruct(t)
	efficiency, fakes := float64(r.foundTracks)/float64(r.tracks), float64(r.fakes)/float64(r.made)
	t.Logf("pT > 0.5 GeV, |eta| < 1: efficiency %.2f %% of %d particles, fakes %.2f %% of %d tracks", 100*efficiency, r.tracks, 100*fakes, r.made)
	if efficiency <= 0.95 || fakes >= 0.05 || r.tracks < 10000 {
		t.Error("not as promised")
	}
}

func TestTheMomentumIsUnbiasedWithinItsError(t *testing.T) {
	t.Parallel()
	r := reconstruct(t)
	mean, width := moments(r.pulls)
	_, resolution := moments(r.residuals)
	err := width / math.Sqrt(float64(len(r.pulls)))
	t.Logf("pull of q/pT: mean %.4f +- %.4f, width %.3f; pT resolution %.2f %%", mean, err, width, 100*resolution)
	if math.Abs(mean) > 3*err || width < 0.9 || width > 1.1 {
		t.Error("biased, or the errors are wrong")
	}
}

// moments leaves out the tails beyond 5, of tracks with a wrong hit.
func moments(x []float64) (mean, width float64) {
	n, sum, sum2 := 0.0, 0.0, 0.0
	for _, v := range x {
		if math.Abs(v) < 5 {
			n, sum, sum2 = n+1, sum+v, sum2+v*v
		}
	}
	mean = sum / n
	return mean, math.Sqrt(sum2/n - mean*mean)
}

func TestTheTimeOf99PercentOfTheCollisionsThatStandAloneIsFound(t *testing.T) {
	t.Parallel()
	r := reconstruct(t)
	var table strings.Builder
	for overlaps := range 4 {
		if n := r.events[overlaps]; n > 0 {
			fmt.Fprintf(&table, "\n%d others within the integration time: %.2f %% of %d", overlaps, 100*float64(r.foundEvents[overlaps])/float64(n), n)
		}
	}
	t.Log("collisions with at least 3 tracks whose time is found:" + table.String())
	if n := r.events[0]; float64(r.foundEvents[0]) < 0.99*float64(n) || n < 3000 {
		t.Error("not as promised")
	}
}

// A slice's frames do not depend on how its STF was cut: counts and histograms of any partition add up to the whole.
func TestAnyPartitionIntoSlicesGivesTheSamePhysics(t *testing.T) {
	t.Parallel()
	path, err := physicsFile()
	must(t, err)
	const frames = 40
	whole, err := tfreco.Process(t.Context(), path, 0, frames-1, t.TempDir())
	must(t, err)
	for _, n := range []int{2, 7, frames} {
		sum := map[string]int64{}
		merged := whole.Histograms[:0:0]
		for _, r := range daq.Split(daq.Range{First: 0, Last: frames - 1}, n) {
			part, err := tfreco.Process(t.Context(), path, r.First, r.Last, t.TempDir())
			must(t, err)
			for key, c := range part.Counts {
				sum[key] += c
			}
			must(t, merged.Merge(part.Histograms))
		}
		if fmt.Sprint(sum) != fmt.Sprint(whole.Counts) {
			t.Errorf("in %d: %v, whole %v", n, sum, whole.Counts)
		}
		for i := range whole.Histograms {
			if a, b := whole.Histograms[i], merged[i]; a.Name != b.Name || !slices.Equal(a.Counts, b.Counts) || a.Entries != b.Entries {
				t.Errorf("in %d: histogram %s differs", n, a.Name)
			}
		}
	}
}

// The hits that a slice reads are those that were written, whatever the slice.
func TestHitsReadAreTheHitsWrittenOverAnyPartition(t *testing.T) {
	t.Parallel()
	path, err := physicsFile()
	must(t, err)
	g, err := detsim.New(detsim.Config{}, 7)
	must(t, err)
	for _, n := range []int{1, 15, 199} {
		r, err := stf.Open(path)
		must(t, err)
		next := 0
		for _, part := range daq.Split(daq.Range{First: 0, Last: physicsFrames - 1}, n) {
			must(t, r.Read(part.First, part.Last, func(f *stf.Frame) error {
				w := g.Frame(1, next)
				if f.TF != next || !slices.Equal(f.Time, w.Time) || !slices.Equal(f.X, w.X) || !slices.Equal(f.Y, w.Y) ||
					!slices.Equal(f.Z, w.Z) || !slices.Equal(f.Layer, w.Layer) {
					t.Errorf("in %d parts: frame %d differs", n, next)
				}
				next++
				return nil
			}))
		}
		if next != physicsFrames {
			t.Errorf("in %d parts: %d frames", n, next)
		}
		must(t, r.Close())
	}
}
