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
		len(*merged)+fresh(*merged, set) <= maxHistograms && merged.Merge(set) == nil
}

// fresh is how many histograms of a set another does not have.
func fresh(have, set hist.Set) (n int) {
	for i := range set {
		if have.Find(set[i].Name) == nil {
			n++
		}
	}
	return n
}
