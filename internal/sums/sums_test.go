package sums_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"tfpilot/internal/hist"
	"tfpilot/internal/sums"
)

func TestCountsAreBounded(t *testing.T) {
	t.Parallel()
	of := map[string]int64{strings.Repeat("k", 201): 1}
	for i := range 3000 {
		of[fmt.Sprint(i)] = 1
	}
	run := map[string]int64{}
	sums.AddCounts(run, of)
	sums.AddCounts(run, of)
	if len(run) != 1000 {
		t.Errorf("%d counts", len(run))
	}
	for key, n := range run {
		if n != 2 || len(key) > 200 {
			t.Errorf("%.20s is %d", key, n)
		}
	}
}

func TestNoCountMakesASumSmallerThanItWas(t *testing.T) {
	t.Parallel()
	run := map[string]int64{"events": 5}
	sums.AddCounts(run, map[string]int64{"events": -3})
	sums.AddCounts(run, map[string]int64{"events": math.MaxInt64})
	if run["events"] != 5 {
		t.Errorf("%d events", run["events"])
	}
}

func filled(name string, bins int) hist.H1 {
	h := hist.New1D(name, "", "", bins, 0, 1)
	h.Fill(0.5)
	return *h
}

func written(t *testing.T, set ...hist.H1) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHistogramsAreAddedAllOrNone(t *testing.T) {
	t.Parallel()
	var run hist.Set
	for _, c := range []struct {
		of   json.RawMessage
		want bool
	}{
		{written(t, filled("h", 4)), true},
		{written(t, filled("new", 4), filled("h", 5)), false}, // the first would fit
		{json.RawMessage(`[{"name":"h","nbins":4`), false},
		{json.RawMessage(`[{"name":"` + strings.Repeat("h", 8<<20) + `"}]`), false},
		{written(t, filled("h", 4)), true},
	} {
		if got := sums.AddHistograms(&run, c.of); got != c.want {
			t.Errorf("%.80s: %v", c.of, got)
		}
	}
	if len(run) != 1 || run[0].Entries != 2 {
		t.Errorf("%+v", run)
	}
}

func TestTheHistogramsOfARunAreNotTooMany(t *testing.T) {
	t.Parallel()
	var run hist.Set
	var some []hist.H1
	for i := range 500 {
		some = append(some, filled(fmt.Sprint(i), 1))
	}
	if sums.AddHistograms(&run, written(t, append(some, filled("one more", 1))...)) || !sums.AddHistograms(&run, written(t, some...)) ||
		sums.AddHistograms(&run, written(t, filled("one more", 1))) || !sums.AddHistograms(&run, written(t, filled("7", 1))) {
		t.Errorf("%d histograms", len(run))
	}
}

// A hundred results of a megabyte each would be a hundred megabytes to be written with every batch from then on.
func TestTheBinsOfARunAreBounded(t *testing.T) {
	t.Parallel()
	var run hist.Set
	added := 0
	for i := range 5 {
		if sums.AddHistograms(&run, written(t, filled(fmt.Sprint(i), hist.MaxBins))) {
			added++
		}
	}
	if added != 2 || len(run) != 2 {
		t.Errorf("%d histograms", len(run))
	}
	if !sums.AddHistograms(&run, written(t, filled("0", hist.MaxBins))) || run[0].Entries != 2 {
		t.Error("one that is there takes nothing more")
	}
}
