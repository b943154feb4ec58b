package roothist_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/idds/roothist"
	"tfpilot/internal/hist"
	"tfpilot/internal/rootfile"
)

// read writes a ROOT file to disk and reads it.
func read(t *testing.T, set hist.Set) []*hist.H1 {
	t.Helper()
	file, err := roothist.Encode(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run.root")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := rootfile.ReadHistograms(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAROOTFileHasWhatWasMerged(t *testing.T) {
	t.Parallel()
	h := hist.New1D("h", "title", "", 4, -1, 1)
	for _, x := range []float64{-2, -0.9, 0.1, 0.1, 3, math.Inf(1)} {
		h.Fill(x)
	}
	if diff := cmp.Diff([]*hist.H1{h}, read(t, hist.Set{*h})); diff != "" {
		t.Error(diff)
	}
}

func TestNamesThatROOTDoesNotHaveAreMadeOnesThatItHas(t *testing.T) {
	t.Parallel()
	var set hist.Set
	for _, name := range []string{"a/b", "a;b", "a\x00b", "a_b", "π", "\xff"} {
		set = append(set, *hist.New1D(name, "", "", 1, 0, 1))
	}
	var names []string
	for _, h := range read(t, set) {
		names = append(names, h.Name)
	}
	if diff := cmp.Diff([]string{"a_b", "a_b_2", "a_b_3", "a_b_4", "π", "_"}, names); diff != "" {
		t.Error(diff)
	}
}
