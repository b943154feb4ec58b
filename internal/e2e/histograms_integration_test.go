//go:build integration

package e2e_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/idds/roothist"
	"tfpilot/internal/hist"
	"tfpilot/internal/proc"
)

// seenByUproot is a histogram as uproot reads it.
type seenByUproot struct {
	Values, Errors, Edges []float64 // under- and overflow with the values and errors
	Entries               float64
	Mean                  float64
}

const readByUproot = `
import json, sys, numpy, uproot
out = {}
with uproot.open(sys.argv[1]) as f:
    for name in f.keys(cycle=False):
        h = f[name]
        out[name] = {"Values": h.values(flow=True).tolist(), "Errors": h.errors(flow=True).tolist(), "Edges": h.axis().edges().tolist(),
                     "Entries": h.member("fEntries"), "Mean": h.member("fTsumwx") / h.member("fTsumw") if h.member("fTsumw") else 0}
json.dump(out, sys.stdout)
`

// What idds merged is what uproot finds in the ROOT file: every bin, its error, the entries and the mean.
func TestIntegrationUprootReadsTheHistogramsOfARun(t *testing.T) {
	t.Parallel()
	python := os.Getenv("TFPILOT_TEST_ACTS")
	if python == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		t.Fatal("TFPILOT_TEST_ACTS is not set, and REQUIRE_SERVICES=1")
	}
	if python == "" {
		t.Skip("set TFPILOT_TEST_ACTS to what payload/acts/install prints")
	}
	var merged hist.Set
	for slice := range 20 { // as idds does
		z := hist.New1D("vertex_z", "vertex z", "cm", 40, -20, 20)
		n := hist.New1D("tracks", "tracks of an event", "", 100, 0, 100)
		for i := range 200 {
			z.Fill(10 * math.Sin(float64(slice*200+i)))
			n.Fill(float64(i % 110))
		}
		z.Fill(-30)
		z.Fill(math.Inf(1))
		must(t, merged.Merge(hist.Set{*z, *n}))
	}
	merged = append(merged, *hist.New1D("empty", "", "", 3, 0, 1))
	file, err := roothist.Encode(merged)
	must(t, err)
	path := filepath.Join(t.TempDir(), "run.root")
	must(t, os.WriteFile(path, file, 0o600))
	out, errs := proc.NewCapture(1<<20, 1<<20), proc.NewCapture(4096, 4096)
	res, err := proc.Run(patient(t), proc.Command{Path: python, Args: []string{"-c", readByUproot, path}, Env: os.Environ(), Stdout: out, Stderr: errs})
	if must(t, err); res.ExitCode != 0 {
		t.Fatalf("status %d: %s", res.ExitCode, errs)
	}
	var got map[string]seenByUproot
	must(t, json.Unmarshal([]byte(out.String()), &got))
	want := map[string]seenByUproot{}
	for i := range merged {
		h := &merged[i]
		w := seenByUproot{Entries: h.Entries, Values: append(append([]float64{h.Underflow}, h.Counts...), h.Overflow)}
		for _, n := range w.Values {
			w.Errors = append(w.Errors, math.Sqrt(n))
		}
		for k := range h.NBins + 1 {
			w.Edges = append(w.Edges, h.Edge(k))
		}
		if h.SumW > 0 {
			w.Mean = h.Mean()
		}
		want[h.Name] = w
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(a)) })); diff != "" {
		t.Error(diff)
	}
}
