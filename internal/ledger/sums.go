package ledger

import (
	"encoding/json"
	"math"

	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

// A run keeps no more kinds of counts and histograms than these: they are rewritten with every batch of results.
const (
	maxCounts     = 1000
	maxHistograms = 500
	maxKey        = 200
	// maxBins is of all histograms of a run together.
	maxBins = 250_000
	// maxHistogramBytes is of one result.
	maxHistogramBytes = 8 << 20
)

// count adds a result's counts to the run's.
func (r *Run) count(counts map[string]int64) {
	for key, n := range counts {
		have, known := r.Counts[key]
		if n >= 0 && have <= math.MaxInt64-n && (known || len(r.Counts) < maxCounts && len(key) <= maxKey) {
			r.Counts[key] += n
		}
	}
}

// merge adds a result's histograms to the run's. A result counts even when its pictures are broken, too many, or of another
// binning; that is counted.
func merge(tx Tx, r *Run, m message.SliceResult) error {
	merged, err := tx.Histograms(m.Namespace, m.RunID.String())
	if err != nil {
		return err
	}
	if !add(&merged, m.Content.Histograms) {
		r.Unmerged++
		return nil
	}
	return tx.PutHistograms(m.Namespace, m.RunID.String(), merged)
}

// add adds histograms as they came; false when they are not, and merged is as it was.
func add(merged *hist.Set, pictures json.RawMessage) bool {
	var set hist.Set
	return len(pictures) <= maxHistogramBytes && json.Unmarshal(pictures, &set) == nil &&
		bounded(*merged, set) && merged.Merge(set) == nil
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
