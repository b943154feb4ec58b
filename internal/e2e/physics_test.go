package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/internal/hist"
	"tfpilot/internal/runplan"
	"tfpilot/internal/stf"
	"tfpilot/payload"
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
	// them that were found.
	events, foundEvents map[int]int
	// madeEvents counts events of at least 3 tracks, spurious those of them that are no collision.
	madeEvents, spurious int
	eventPulls           []float64
}

// physics is a file as the detector is set by default, dense one with so many collisions that most overlap. Each is made and
// reconstructed once, for all tests.
var (
	physicsFile = sync.OnceValues(func() (string, error) { return simulate("physics.stf", detsim.Config{}, physicsFrames) })
	physics     = sync.OnceValues(func() (*reconstructed, error) {
		path, err := physicsFile()
		if err != nil {
			return nil, err
		}
		return reconstructAndMatch(path)
	})
	dense = sync.OnceValues(func() (*reconstructed, error) {
		path, err := simulate("dense.stf", detsim.Config{Collisions: 500}, physicsFrames/20)
		if err != nil {
			return nil, err
		}
		return reconstructAndMatch(path)
	})
)

func simulate(name string, cfg detsim.Config, frames int) (path string, err error) {
	own, err := shared()
	if err != nil {
		return "", err
	}
	g, err := detsim.New(cfg, 7)
	if err != nil {
		return "", err
	}
	path = filepath.Join(own.Path, name)
	_, err = daq.Write(context.Background(), g, path, 1, frames, nil)
	return path, err
}

func reconstructAndMatch(path string) (*reconstructed, error) {
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
}

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

// matchEvents takes a collision for found when an event is within 0.2 ns and 1 mm of it.
func (r *reconstructed) matchEvents(events []tfreco.Event, truth *stf.Truth, g stf.Geometry) {
	integration := math.Sqrt(12) * g.Layers[0].SigmaTimeNS
	same := func(ev *tfreco.Event, e int) bool {
		return math.Abs(ev.Time-truth.EventTime[e]) < 0.2 && math.Abs(ev.Z-float64(truth.EventZ[e])) < 1
	}
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
		if i := slices.IndexFunc(events, func(ev tfreco.Event) bool { return same(&ev, e) }); i >= 0 {
			r.foundEvents[overlaps]++
			r.eventPulls = append(r.eventPulls, (events[i].Time-t)/events[i].TimeError)
		}
	}
	for i := range events {
		if events[i].Tracks < 3 {
			continue
		}
		r.madeEvents++
		spurious := 1
		for e := range truth.EventTime {
			if same(&events[i], e) {
				spurious = 0
			}
		}
		r.spurious += spurious
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
	if !(efficiency > 0.95 && fakes < 0.05) || r.tracks < 10000 {
		t.Error("not as promised")
	}
}

func TestTheMomentumIsUnbiasedWithinItsError(t *testing.T) {
	t.Parallel()
	r := reconstruct(t)
	mean, width, kept := moments(r.pulls)
	_, resolution, _ := moments(r.residuals)
	err := width / math.Sqrt(float64(len(r.pulls)))
	t.Logf("pull of q/pT: mean %.4f +- %.4f, width %.3f, %.2f %% within 5; pT resolution %.2f %%", mean, err, width, 100*kept, 100*resolution)
	if !(math.Abs(mean) < 3*err && width > 0.9 && width < 1.1 && kept > 0.995) {
		t.Error("biased, or the errors are wrong")
	}
}

// moments leaves out the tails beyond 5, of tracks with a wrong hit, and says what share was kept.
func moments(x []float64) (mean, width, kept float64) {
	n, sum, sum2 := 0.0, 0.0, 0.0
	for _, v := range x {
		if math.Abs(v) < 5 {
			n, sum, sum2 = n+1, sum+v, sum2+v*v
		}
	}
	mean = sum / n
	return mean, math.Sqrt(sum2/n - mean*mean), n / float64(len(x))
}

func TestTheTimeOf99PercentOfTheCollisionsThatStandAloneIsFound(t *testing.T) {
	t.Parallel()
	r := reconstruct(t)
	t.Log(r.byOverlap())
	if n := r.events[0]; float64(r.foundEvents[0]) < 0.99*float64(n) || n < 3000 {
		t.Error("not as promised")
	}
	mean, width, kept := moments(r.eventPulls)
	t.Logf("pull of the event time: mean %.3f, width %.3f; %d of %d events with at least 3 tracks are of no collision", mean, width, r.spurious, r.madeEvents)
	if !(math.Abs(mean) < 0.2 && width < 1.3 && kept > 0.99) || r.spurious > r.madeEvents/100 {
		t.Error("times are wrong, or events are made up")
	}
}

func TestCollisionsAreFoundAlsoWhereManyOverlap(t *testing.T) {
	t.Parallel()
	r, err := dense()
	must(t, err)
	t.Log(r.byOverlap())
	t.Logf("tracks: efficiency %.2f %%, fakes %.2f %%", 100*float64(r.foundTracks)/float64(r.tracks), 100*float64(r.fakes)/float64(r.made))
	found, all := 0, 0
	for overlaps, n := range r.events {
		all += n
		found += r.foundEvents[overlaps]
	}
	if all < 3000 || float64(found) < 0.95*float64(all) {
		t.Errorf("found %d of %d", found, all)
	}
}

// byOverlap is the efficiency against the number of other collisions in a table.
func (r *reconstructed) byOverlap() string {
	var table strings.Builder
	table.WriteString("collisions with at least 3 tracks:\n  others within the integration time   found   of")
	for _, overlaps := range slices.Sorted(maps.Keys(r.events)) {
		n := r.events[overlaps]
		fmt.Fprintf(&table, "\n  %34d %6.2f %%  %5d", overlaps, 100*float64(r.foundEvents[overlaps])/float64(n), n)
	}
	return table.String()
}

// A slice's frames do not depend on how its STF was cut: counts and histograms of any partition add up to the whole.
func TestAnyPartitionIntoSlicesGivesTheSamePhysics(t *testing.T) {
	t.Parallel()
	path, err := physicsFile()
	must(t, err)
	const frames = 60
	process := func(part runplan.Range) payload.Result {
		res, err := tfreco.Process(t.Context(), path, part.First, part.Last, t.TempDir())
		must(t, err)
		return res
	}
	whole := process(runplan.Range{First: 0, Last: frames - 1})
	rng := rand.New(rand.NewPCG(7, 7))
	for _, parts := range [][]runplan.Range{
		runplan.Split(runplan.Range{First: 0, Last: frames - 1}, 15),
		runplan.Split(runplan.Range{First: 0, Last: frames - 1}, frames),
		partition(rng, frames), partition(rng, frames), partition(rng, frames),
	} {
		sum := map[string]int64{}
		var merged hist.Set
		for _, i := range rng.Perm(len(parts)) { // results come in any order
			part := process(parts[i])
			for key, n := range part.Counts {
				sum[key] += n
			}
			must(t, merged.Merge(part.Histograms))
		}
		if !reflect.DeepEqual(sum, whole.Counts) || !reflect.DeepEqual(merged, whole.Histograms) {
			t.Errorf("cut into %v: %v, whole %v, or the histograms differ", parts, sum, whole.Counts)
		}
	}
}

// partition cuts frames into ranges of random lengths.
func partition(rng *rand.Rand, frames int) (parts []runplan.Range) {
	for first := 0; first < frames; {
		last := min(frames-1, first+rng.IntN(frames/3))
		parts = append(parts, runplan.Range{First: first, Last: last})
		first = last + 1
	}
	return parts
}

// The hits that a slice reads are those that were written, whatever the slice.
func TestHitsReadAreTheHitsWrittenOverAnyPartition(t *testing.T) {
	t.Parallel()
	path, err := physicsFile()
	must(t, err)
	g, err := detsim.New(detsim.Config{}, 7)
	must(t, err)
	rng := rand.New(rand.NewPCG(8, 8))
	for n, parts := range [][]runplan.Range{
		{{First: 0, Last: physicsFrames - 1}}, runplan.Split(runplan.Range{First: 0, Last: physicsFrames - 1}, 15), partition(rng, physicsFrames),
	} {
		r, err := stf.Open(path)
		must(t, err)
		next := 0
		for _, part := range parts {
			must(t, r.Read(part.First, part.Last, func(f *stf.Frame) error {
				w, err := g.Frame(1, next)
				if err != nil {
					return err
				}
				if f.TF != next || !slices.Equal(f.Time, w.Time) || !slices.Equal(f.X, w.X) || !slices.Equal(f.Y, w.Y) ||
					!slices.Equal(f.Z, w.Z) || !slices.Equal(f.Layer, w.Layer) {
					t.Errorf("partition %d: frame %d differs", n, next)
				}
				next++
				return nil
			}))
		}
		if next != physicsFrames {
			t.Errorf("partition %d: %d frames", n, next)
		}
		must(t, r.Close())
	}
}
