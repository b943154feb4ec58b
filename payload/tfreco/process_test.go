package tfreco_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rootfile"
	"tfpilot/internal/stf"
	"tfpilot/payload/tfreco"
)

// input writes a file of frames with a collision of three and one of four particles each, of which edit may change some.
func input(tb testing.TB, frames int, g stf.Geometry, edit func(*stf.Frame)) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "in.stf")
	w, err := stf.Create(path, g, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range frames {
		f := stf.Frame{TF: i}
		collision(&f, detector(), 10000, float64(i), 3)
		collision(&f, detector(), 40000, -float64(i), 4)
		edit(&f)
		if err := w.Write(&f); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

func asItIs(*stf.Frame) {}

// expectNothing checks that a failed slice left no file.
func expectNothing(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTheOutputHoldsTracksAndHistogramsOfTheSlice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	res, err := tfreco.Process(t.Context(), input(t, 10, detector(), asItIs), 2, 8, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c := res.Counts; c["frames"] != 7 || c["events"] != 14 || c["tracks"] != 49 || c["hits"] != 49*6 || len(res.Warnings) != 0 {
		t.Errorf("%v %v", c, res.Warnings)
	}
	path := filepath.Join(dir, tfreco.OutputName)
	inFile, err := rootfile.ReadHistograms(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(inFile) != len(res.Histograms) || len(inFile) < 7 {
		t.Fatalf("%d histograms in the file, %d in the result", len(inFile), len(res.Histograms))
	}
	for _, h := range inFile {
		want := res.Histograms.Find(h.Name)
		if want == nil || !slices.Equal(h.Counts, want.Counts) || h.Entries != want.Entries || h.Entries == 0 {
			t.Errorf("%s: %v, in the result %v", h.Name, h.Entries, want)
		}
	}
	expectTracks(t, path)
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v", left)
	}
}

// expectTracks reads the tree again.
func expectTracks(t *testing.T, path string) {
	t.Helper()
	f, err := groot.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	object, err := f.Get("tracks")
	if err != nil {
		t.Fatal(err)
	}
	var (
		tf, nevt, ntrk int32
		pt             []float32
		event          []int32
		time           []float64
	)
	r, err := rtree.NewReader(object.(rtree.Tree), []rtree.ReadVar{
		{Name: "tf", Value: &tf},
		{Name: "nevt", Value: &nevt},
		{Name: "ntrk", Value: &ntrk},
		{Name: "trk_pt", Value: &pt},
		{Name: "trk_evt", Value: &event},
		{Name: "evt_time", Value: &time},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	due := int32(2)
	if err := r.Read(func(rtree.RCtx) error {
		if tf != due || nevt != 2 || ntrk != 7 || len(pt) != 7 || len(time) != 2 || event[0] != 0 || event[6] != 1 {
			t.Errorf("frame %d: %d events, %d tracks, of events %v", tf, nevt, ntrk, event)
		}
		due++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if due != 9 {
		t.Errorf("ends before frame %d", due)
	}
}

func TestAFailedSliceLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	whole := input(t, 400, detector(), asItIs)
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "torn.stf")
	content[len(content)*6/10] ^= 1
	if err := os.WriteFile(torn, content, 0o600); err != nil {
		t.Fatal(err)
	}
	noField := detector()
	noField.FieldTesla = 0
	for _, c := range []struct {
		name, path  string
		first, last int
		want        exitcode.Failure
	}{
		{"missing", "/no/such/file.stf", 0, 9, exitcode.DataMissing},
		{"damaged", torn, 0, 399, exitcode.DataCorrupt},
		{"range beyond the end", whole, 395, 400, exitcode.DataRange},
		{"range backwards", whole, 5, 4, exitcode.DataRange},
		{"negative", whole, -1, 4, exitcode.DataRange},
		{"detector without field", input(t, 2, noField, asItIs), 0, 1, exitcode.DataInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := tfreco.Process(t.Context(), c.path, c.first, c.last, dir)
			if got := exitcode.From(err); got != c.want || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%s: %v", got.Name, err)
			}
			expectNothing(t, dir)
		})
	}
}

func TestWhatCannotBeWrittenIsTheSitesFault(t *testing.T) {
	t.Parallel()
	path := input(t, 2, detector(), asItIs)
	for name, dir := range map[string]string{"no folder": filepath.Join(t.TempDir(), "none"), "a file": path} {
		_, err := tfreco.Process(t.Context(), path, 0, 1, dir)
		if exitcode.From(err) != exitcode.SiteNoSpace || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheEndOfTheContextEndsTheSliceWithItsCause(t *testing.T) {
	t.Parallel()
	path := input(t, 50, detector(), asItIs)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the slot's time is over")
	cancel(cause)
	dir := t.TempDir()
	_, err := tfreco.Process(ctx, path, 0, 49, dir)
	if exitcode.From(err) != exitcode.Interrupted || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	expectNothing(t, dir)
}

func TestHitsOfNoLayerAreAWarning(t *testing.T) {
	t.Parallel()
	path := input(t, 3, detector(), func(f *stf.Frame) { add(f, 77, 1, 36, 0, 0) })
	res, err := tfreco.Process(t.Context(), path, 0, 2, t.TempDir())
	if err != nil || len(res.Warnings) != 1 || !strings.HasPrefix(res.Warnings[0], "3 hits ") {
		t.Errorf("%v %v", res.Warnings, err)
	}
}

// BenchmarkProcessSlice is a slice of 66 frames, from file to file.
func BenchmarkProcessSlice(b *testing.B) {
	const frames = 66
	path := input(b, frames, detector(), func(f *stf.Frame) {
		for i := range 43 {
			collision(f, detector(), 50000+13000*float64(i), float64(3*i)-60, 5)
		}
	})
	dir := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tfreco.Process(b.Context(), path, 0, frames-1, dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*frames)/b.Elapsed().Seconds(), "frames/s")
}
