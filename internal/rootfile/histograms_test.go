package rootfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/rootfile"
)

func TestHistogramsSurviveROOT(t *testing.T) {
	t.Parallel()
	h := hist.New1D("pt", "transverse momentum", "", 20, 0, 10)
	for _, x := range []float64{-1, 0.5, 3, 3.1, 9.9, 12} {
		h.Fill(x)
	}
	path := filepath.Join(t.TempDir(), "h.root")
	if err := rootfile.WriteHistograms(path, []*hist.H1{h}); err != nil {
		t.Fatal(err)
	}
	got, err := rootfile.ReadHistograms(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*hist.H1{h}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHistogramsAreNotReadFromWhatIsNoneOrDamaged(t *testing.T) {
	t.Parallel()
	other := write(t, 1)
	if _, err := rootfile.ReadHistograms(other); exitcode.From(err) != exitcode.DataCorrupt || !strings.Contains(err.Error(), "there is no histogram in it") {
		t.Errorf("got %v", err)
	}
	whole, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rootfile.ReadHistograms(other); exitcode.From(err) != exitcode.DataCorrupt || !strings.Contains(err.Error(), "bytes and has") {
		t.Errorf("got %v", err)
	}
}
