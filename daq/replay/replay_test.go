package replay_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/rbase"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/daq"
	"tfpilot/daq/replay"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

var _ daq.Source = (*replay.Source)(nil)

// events writes a file of n events of 20 hits. The cell of a hit says which it is; its time is its place in the event in ns. The
// first of every ten hits is noise, the others are of the particles 0 and 1 in turn.
func events(tb testing.TB, n int, truth bool) string {
	tb.Helper()
	const hits = 20
	path := filepath.Join(tb.TempDir(), "events.root")
	f, err := groot.Create(path)
	must(tb, err)
	must(tb, f.Put("geometry", rbase.NewObjString(`{"name": "toy", "layers": [{"radius_mm": 1, "half_length_mm": 1}]}`)))
	row := struct {
		N    int32     `groot:"nhit"`
		Time []float64 `groot:"time[nhit]"`
		Cell []uint64  `groot:"cell[nhit]"`
	}{N: hits, Time: make([]float64, hits), Cell: make([]uint64, hits)}
	tree(tb, f, "hits", &row, n, func(i int) {
		for h := range hits {
			row.Time[h], row.Cell[h] = float64(h), cell(i, h)
		}
	})
	if truth {
		row := struct {
			X        float32   `groot:"evt_x"`
			Y        float32   `groot:"evt_y"`
			Z        float32   `groot:"evt_z"`
			N        int32     `groot:"ntrk"`
			PT       []float32 `groot:"trk_pt[ntrk]"`
			Eta      []float32 `groot:"trk_eta[ntrk]"`
			Phi      []float32 `groot:"trk_phi[ntrk]"`
			Charge   []int32   `groot:"trk_charge[ntrk]"`
			Refs     int32     `groot:"nref"`
			HitTrack []int32   `groot:"hit_trk[nref]"`
		}{N: 2, PT: make([]float32, 2), Eta: make([]float32, 2), Phi: []float32{1, 2}, Charge: []int32{1, -1}, Refs: hits, HitTrack: make([]int32, hits)}
		tree(tb, f, "truth", &row, n, func(i int) {
			row.Z, row.PT[0], row.PT[1] = float32(i), float32(i), float32(i)+0.5
			for h := range hits {
				row.HitTrack[h] = int32(h % 2)
				if h%10 == 0 {
					row.HitTrack[h] = -1
				}
			}
		})
	}
	must(tb, f.Close())
	return path
}

// cell names a hit of an event, with a bit that is lost in anything but an uint64.
func cell(event, hit int) uint64 { return 1<<63 + uint64(event)<<16 + uint64(hit) }

func tree(tb testing.TB, f *groot.File, name string, row any, n int, fill func(i int)) {
	tb.Helper()
	w, err := rtree.NewWriter(f, name, rtree.WriteVarsFromStruct(row))
	must(tb, err)
	for i := range n {
		fill(i)
		_, err := w.Write()
		must(tb, err)
	}
	must(tb, w.Close())
}

func open(tb testing.TB, cfg replay.Config, run replay.Run) *replay.Source {
	tb.Helper()
	s, err := replay.Open(cfg, run)
	must(tb, err)
	tb.Cleanup(func() { must(tb, s.Close()) })
	return s
}

// run is one of STFs of 10 frames.
func run() replay.Run { return replay.Run{FrameNS: 100_000, Frames: 10, Seed: 7} }

func TestEveryHitIsInAFrameOnceAtTheTimeOfItsCollision(t *testing.T) {
	t.Parallel()
	const perFrame = 3
	s := open(t, replay.Config{File: events(t, 8, true), Events: perFrame, SmearNS: 2}, run())
	numbers, deviations, truthless := []int64{}, []float64{}, 0
	for tf := range 10 {
		f, err := s.Frame(1, tf)
		must(t, err)
		truth, cells := f.Truth, f.Extra["cell"].([]uint64)
		numbers = append(numbers, truth.EventNumber...)
		if !slices.IsSorted(f.Time) || len(f.Time) != perFrame*20 || len(cells) != len(f.Time) || len(f.X) != 0 || f.TF != tf {
			t.Fatalf("frame %d: %d hits, sorted %t", f.TF, len(f.Time), slices.IsSorted(f.Time))
		}
		for e := range truth.EventTime {
			if at := truth.EventTime[e]; at < 1000 || at > 99_000 || truth.EventZ[e] != float32(truth.EventNumber[e]) {
				t.Errorf("frame %d: event %d at %g ns, z = %g", tf, e, at, truth.EventZ[e])
			}
		}
		seen := map[uint64]bool{}
		for i, c := range cells {
			event := truth.HitEvent[i]
			number, h := int(truth.EventNumber[event]), int(c&0xffff)
			if c != cell(number, h) || seen[c] {
				t.Fatalf("frame %d: cell %x in event %d", tf, c, number)
			}
			seen[c] = true
			deviations = append(deviations, f.Time[i]-truth.EventTime[event]-float64(h))
			switch track := truth.HitTrack[i]; {
			case h%10 == 0 && track == -1:
				truthless++
			case truth.TrackEvent[track] != event || truth.TrackPT[track] != float32(number)+float32(h%2)/2 || truth.TrackHits[track] < 8:
				t.Errorf("frame %d: hit %d of event %d is of particle %d", tf, h, number, track)
			}
		}
	}
	// In the order of the file, and from its beginning again.
	for i, n := range numbers {
		if n != int64(i%8) {
			t.Fatalf("the events are %v", numbers)
		}
	}
	if sigma := spread(deviations); sigma < 1.7 || sigma > 2.3 || truthless != 10*perFrame*2 {
		t.Errorf("smeared by %g ns, %d noise hits", sigma, truthless)
	}
}

func spread(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(values)))
}

func TestAFrameDependsOnItsNumberAlone(t *testing.T) {
	t.Parallel()
	cfg := replay.Config{File: events(t, 50, true), Events: 4}
	a, b := open(t, cfg, run()), open(t, cfg, run())
	frame := func(s *replay.Source, sequence, tf int) *stf.Frame {
		f, err := s.Frame(sequence, tf)
		must(t, err)
		return f
	}
	_ = frame(a, 7, 1)
	if diff := cmp.Diff(frame(a, 2, 3), frame(b, 2, 3)); diff != "" {
		t.Error(diff)
	}
	if again := frame(a, 3, 3); cmp.Equal(frame(a, 2, 3).Time, again.Time) {
		t.Error("two frames are the same")
	}
	// The second STF goes on where the first ends: 10 frames of 4 events.
	if first := frame(a, 2, 0).Truth.EventNumber[0]; first != 40 {
		t.Errorf("STF 2 begins with event %d", first)
	}
}

func TestHowMuchIsInMemoryChangesNothing(t *testing.T) {
	t.Parallel()
	cfg := replay.Config{File: events(t, 100, true), Events: 9}
	few := run()
	few.MemoryBytes = 3 * 4 * 20 * 20 // some events in a block: frames lie across several
	all, some := open(t, cfg, run()), open(t, cfg, few)
	var makers sync.WaitGroup
	for tf := range 40 {
		makers.Go(func() {
			want, err := all.Frame(3, tf)
			got, err2 := some.Frame(3, tf)
			if diff := cmp.Diff(want, got); err != nil || err2 != nil || diff != "" {
				t.Errorf("frame %d: %v, %v, %s", tf, err, err2, diff)
			}
		})
	}
	makers.Wait()
}

func TestASmallFileIsReplayedInFramesOfMoreEvents(t *testing.T) {
	t.Parallel()
	s := open(t, replay.Config{File: events(t, 3, false), Events: 10}, run())
	f, err := s.Frame(1, 1)
	must(t, err)
	if diff := cmp.Diff([]int64{1, 2, 0, 1, 2, 0, 1, 2, 0, 1}, f.Truth.EventNumber); diff != "" || len(f.Time) != 200 {
		t.Errorf("%d hits, %s", len(f.Time), diff)
	}
	// Without a truth nobody knows the particles, but whose hits they are.
	if f.Truth.HitTrack[0] != -1 || f.Truth.HitEvent[0] < 0 || len(f.Truth.TrackPT) != 0 {
		t.Errorf("%+v", f.Truth)
	}
}

func TestHitsAfterTheEndOfAFrameAreLeftOut(t *testing.T) {
	t.Parallel()
	s := open(t, replay.Config{File: events(t, 50, true), Events: 50, SmearNS: 5000}, run())
	f, err := s.Frame(1, 0)
	must(t, err)
	if n := len(f.Time); n >= 1000 || f.Time[0] < 0 || f.Time[n-1] >= 100_000 {
		t.Errorf("%d hits from %g to %g", n, f.Time[0], f.Time[n-1])
	}
}

func TestAReplayedFileIsReadAsAnyOther(t *testing.T) {
	t.Parallel()
	source := open(t, replay.Config{File: events(t, 30, true), Events: 5, SmearNS: 1}, run())
	path := filepath.Join(t.TempDir(), "a.stf")
	s, err := daq.Write(context.Background(), source, path, 1, 10, nil)
	must(t, err)
	r, err := stf.Open(path)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	if g := r.Geometry(); s.Frames != 10 || s.Hits != 1000 || g.Name != "toy" || g.Source != "replay of events.root" || g.FrameNS != 100_000 || len(g.Layers) != 0 {
		t.Errorf("%+v, %+v", s, g)
	}
	must(t, r.Read(0, 9, func(got *stf.Frame) error {
		want, err := source.Frame(1, got.TF)
		must(t, err)
		if diff := cmp.Diff(want.Extra, got.Extra); diff != "" || !slices.Equal(want.Time, got.Time) {
			t.Errorf("frame %d: %s", got.TF, diff)
		}
		return nil
	}))
	must(t, r.ReadTruth(0, 9, func(tf int, got *stf.Truth) error {
		want, err := source.Frame(1, tf)
		must(t, err)
		if diff := cmp.Diff(want.Truth, got); diff != "" {
			t.Errorf("frame %d: %s", tf, diff)
		}
		return nil
	}))
}

func TestADamagedFileEndsTheWritingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	path := events(t, 2000, true)
	whole, err := os.ReadFile(path)
	must(t, err)
	// In a basket, where nobody has looked before.
	for i := len(whole) / 4; i < len(whole)/4+64; i++ {
		whole[i] ^= 0xff
	}
	must(t, os.WriteFile(path, whole, 0o600))
	source := open(t, replay.Config{File: path, Events: 45}, run())
	out := filepath.Join(t.TempDir(), "a.stf")
	_, err = daq.Write(context.Background(), source, out, 1, 100, nil)
	left, _ := filepath.Glob(out + "*")
	if exitcode.From(err) != exitcode.DataCorrupt || !strings.Contains(err.Error(), path) || len(left) != 0 {
		t.Errorf("got %v, left %v", err, left)
	}
}

func TestOptionsBeyondReasonAreRefused(t *testing.T) {
	t.Parallel()
	file := events(t, 1, false)
	for want, c := range map[string]replay.Config{
		"--replay-events 0: must be 1":        {File: file},
		"--replay-events 1000000: must be 1":  {File: file, Events: 1_000_000},
		"--replay-smear-ns NaN: must be 0 to": {File: file, Events: 1, SmearNS: math.NaN()},
	} {
		if _, err := replay.Open(c, run()); exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := replay.Open(replay.Config{File: file, Events: 1}, replay.Run{FrameNS: 10}); exitcode.From(err) != exitcode.BadConfig {
		t.Errorf("got %v", err)
	}
	if _, err := replay.Open(replay.Config{File: file + "x", Events: 1}, run()); exitcode.From(err) != exitcode.DataMissing {
		t.Errorf("got %v", err)
	}
}

func BenchmarkFrame(b *testing.B) {
	s := open(b, replay.Config{File: events(b, 1000, true), Events: 45}, run())
	for i := range b.N {
		_, err := s.Frame(1, i%1000)
		must(b, err)
	}
}
