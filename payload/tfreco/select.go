package tfreco

import "slices"

// choose turns the candidates of a search into tracks: the best first, each only with hits that no better one has taken.
// A worse track that shares a hit is not mended here: the following searches find it again without that hit.
func (r *Reconstructor) choose() {
	slices.SortFunc(r.candidates, func(a, b candidate) int {
		switch {
		case a.quality > b.quality:
			return -1
		case a.quality < b.quality:
			return 1
		default: // any fixed order: results must not depend on how the sort works
			return slices.Compare(a.on[:], b.on[:])
		}
	})
	for i := range r.candidates {
		if c := &r.candidates[i]; !r.sharesHits(c) {
			r.markUsed(c)
			r.found = append(r.found, *c)
		}
	}
	r.candidates = r.candidates[:0]
}

func (r *Reconstructor) sharesHits(c *candidate) bool {
	for l := range r.layers {
		if c.on[l] >= 0 && r.layers[l].hits[c.on[l]].used {
			return true
		}
	}
	return false
}

func (r *Reconstructor) markUsed(c *candidate) {
	for l := range r.layers {
		if c.on[l] >= 0 {
			r.layers[l].hits[c.on[l]].used = true
		}
	}
}
