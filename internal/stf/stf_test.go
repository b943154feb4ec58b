package stf_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
)

func geometry() stf.Geometry {
	return stf.Geometry{Name: "test", FieldTesla: 1, FrameNS: 1000, Layers: []stf.Layer{{Kind: stf.KindPixel, RadiusMM: 10, HalfLengthMM: 10}}}
}

// frames makes n frames of random hits, the same for the same n.
func frames(n, hits int) []stf.Frame {
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([]stf.Frame, n)
	for i := range out {
		f := &out[i]
		f.TF = i
		f.Extra = map[string]any{"energy": []float32{}, "cell": []int64{}}
		energy, cell := make([]float32, hits), make([]int64, hits)
		for h := range hits {
			f.Time = append(f.Time, rng.Float64()*1000)
			f.X = append(f.X, rng.Float32())
			f.Y = append(f.Y, rng.Float32())
			f.Z = append(f.Z, rng.Float32())
			f.Layer = append(f.Layer, rng.Int32N(5))
			energy[h], cell[h] = rng.Float32(), rng.Int64()
		}
		f.Extra["energy"], f.Extra["cell"] = energy, cell
		f.Truth = &stf.Truth{
			EventTime: []float64{float64(i)}, EventNumber: []int64{int64(i) + 7}, EventX: []float32{0}, EventY: []float32{0}, EventZ: []float32{1},
			TrackEvent: []int32{0}, TrackPT: []float32{2}, TrackEta: []float32{0}, TrackPhi: []float32{1}, TrackCharge: []int32{-1},
			TrackHits: []int32{int32(hits)}, HitTrack: make([]int32, hits), HitEvent: make([]int32, hits),
		}
	}
	return out
}

func write(tb testing.TB, path string, list []stf.Frame) stf.Summary {
	tb.Helper()
	w, err := stf.Create(path, geometry(), &list[0])
	if err != nil {
		tb.Fatal(err)
	}
	for i := range list {
		if err := w.Write(&list[i]); err != nil {
			tb.Fatal(err)
		}
	}
	s, err := w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// clone is a copy that outlives the callback.
func clone(f *stf.Frame) stf.Frame {
	c := stf.Frame{TF: f.TF, Extra: map[string]any{}}
	c.Time = append(c.Time, f.Time...)
	c.X, c.Y, c.Z = append(c.X, f.X...), append(c.Y, f.Y...), append(c.Z, f.Z...)
	c.Layer = append(c.Layer, f.Layer...)
	for name, v := range f.Extra {
		switch v := v.(type) {
		case []float32:
			c.Extra[name] = append([]float32(nil), v...)
		case []int64:
			c.Extra[name] = append([]int64(nil), v...)
		}
	}
	return c
}

func TestHitsReadEqualHitsWrittenOverAnyPartition(t *testing.T) {
	t.Parallel()
	list := frames(100, 300)
	path := filepath.Join(t.TempDir(), "a.stf")
	s := write(t, path, list)
	if s.Frames != 100 || s.Hits != 30000 || len(s.Adler32) != 8 {
		t.Errorf("%+v", s)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		var got []stf.Frame
		for first := 0; first < 100; {
			last := min(99, first+rng.IntN(40))
			r, err := stf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Read(first, last, func(f *stf.Frame) error { got = append(got, clone(f)); return nil }); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			first = last + 1
		}
		for i := range list {
			want := list[i]
			want.Truth = nil
			if diff := cmp.Diff(want, got[i]); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

func TestTruthAndGeometryComeBack(t *testing.T) {
	t.Parallel()
	list := frames(10, 5)
	path := filepath.Join(t.TempDir(), "a.stf")
	write(t, path, list)
	r, err := stf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if diff := cmp.Diff(geometry(), r.Geometry()); diff != "" {
		t.Error(diff)
	}
	if err := r.ReadTruth(3, 4, func(tf int, got *stf.Truth) error {
		if diff := cmp.Diff(list[tf].Truth, got); diff != "" {
			t.Error(diff)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestARangeReadTouchesAtMostTwiceItsBytes(t *testing.T) {
	t.Parallel()
	list := frames(300, 1500)
	path := filepath.Join(t.TempDir(), "a.stf")
	s := write(t, path, list)
	r, err := stf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	const n = 66
	if err := r.Read(100, 100+n-1, func(*stf.Frame) error { return nil }); err != nil {
		t.Fatal(err)
	}
	share := s.SizeBytes * n / 300
	if got := r.BytesRead(); got > 2*share {
		t.Errorf("read %d bytes for a share of %d", got, share)
	} else {
		t.Logf("read %.2f x its bytes", float64(got)/float64(share))
	}
}

func TestBadFilesAreErrorsOfClassData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := frames(50, 200)
	good := filepath.Join(dir, "good.stf")
	write(t, good, list)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name, path string
		first      int
		want       exitcode.Failure
	}{
		{"missing", filepath.Join(dir, "none.stf"), 0, exitcode.DataMissing},
		{"a folder", dir, 0, exitcode.DataMissing},
		{"empty", file("empty", nil), 0, exitcode.DataCorrupt},
		{"html", file("html", []byte(strings.Repeat("<html>not found</html>", 100))), 0, exitcode.DataCorrupt},
		{"truncated", file("short", whole[:len(whole)*2/3]), 0, exitcode.DataCorrupt},
		{"beyond the end", good, 45, exitcode.DataRange},
		{"before the start", good, -1, exitcode.DataRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := readAll(c.path, c.first, c.first+9)
			if got := exitcode.From(err); got != c.want {
				t.Errorf("got %s: %v", got.Name, err)
			}
			if err != nil && !strings.Contains(err.Error(), c.path) {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

func readAll(path string, first, last int) error {
	r, err := stf.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return r.Read(first, last, func(*stf.Frame) error { return nil })
}

// A flipped byte must be noticed, or have no effect: it must never give other data, nor end the process, which panics in the
// library's own goroutines would do.
func TestAFlippedByteNeverGivesOtherData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := frames(40, 100)
	good := filepath.Join(dir, "good.stf")
	write(t, good, list)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	noticed := 0
	const flips = 400
	for i := range flips {
		at := rng.IntN(len(whole))
		bad := append([]byte(nil), whole...)
		bad[at] ^= byte(1 << rng.IntN(8))
		path := filepath.Join(dir, "bad.stf")
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := stf.Open(path)
		if err != nil {
			noticed++
			continue
		}
		err = r.Read(0, 39, func(f *stf.Frame) error {
			want := list[f.TF]
			want.Truth = nil
			if !reflect.DeepEqual(want, clone(f)) {
				t.Fatalf("flip %d at %d gave other data", i, at)
			}
			return nil
		})
		if err != nil {
			noticed++
			if got := exitcode.From(err); got != exitcode.DataCorrupt {
				t.Errorf("flip at %d: %s: %v", at, got.Name, err)
			}
		}
		_ = r.Close()
	}
	if noticed < flips*8/10 {
		t.Errorf("only %d of %d flips were noticed", noticed, flips)
	}
}

func TestAnUnfinishedFileIsNotThere(t *testing.T) {
	t.Parallel()
	list := frames(2, 5)
	path := filepath.Join(t.TempDir(), "a.stf")
	w, err := stf.Create(path, geometry(), &list[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&list[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an unfinished file is at its path")
	}
	if err := w.Write(&list[0]); err == nil {
		t.Error("a frame was taken twice")
	}
	w.Abort()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
