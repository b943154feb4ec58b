package sums

import (
	"encoding/json"
	"math"

	"tfpilot/internal/hist"
)

// A run has no more kinds of counts and histograms than these.
const (
	maxCounts     = 1000
	maxHistograms = 500
	// maxKey is how many bytes the name of a count, of a payload or of its version may have.
	maxKey = 200
	// maxBins is of all histograms of a run together.
	maxBins = 250_000
	// maxHistogramBytes is of one result.
	maxHistogramBytes = 8 << 20
)

// AddCounts adds a result's counts to those of its run.
func AddCounts(to, of map[string]int64) {
	for key, n := range of {
		have, known := to[key]
		if n >= 0 && have <= math.MaxInt64-n && (known || len(to) < maxCounts && len(key) <= maxKey) {
			to[key] += n
		}
	}
}

// AddHistograms adds a result's histograms, as they came, to those of its run: all of them or, when they are broken, too many or of
// another binning, none. It says which.
func AddHistograms(to *hist.Set, of json.RawMessage) bool {
	var set hist.Set
	return len(of) <= maxHistogramBytes && json.Unmarshal(of, &set) == nil && bounded(*to, set) && to.Merge(set) == nil
}

// bounded reports whether there are not too many histograms, or bins of them, with those of a set that are new.
func bounded(have, set hist.Set) bool {
	n, bins := 0, 0
	for i := range set {
		if have.Find(set[i].Name) == nil {
			n++
			bins += min(max(0, set[i].NBins), hist.MaxBins+1) // it is not checked yet
		}
	}
	for i := range have {
		bins += have[i].NBins
	}
	return n == 0 || len(have)+n <= maxHistograms && bins <= maxBins
}
