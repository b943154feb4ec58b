package tfreco

import (
	"math"
	"slices"

	"tfpilot/internal/stf"
)

// maxLayers bounds the layers of a detector, so that a track holds its hits in an array.
const maxLayers = 16

// layer is one cylinder of the detector. The search numbers them itself: pixels by radius, then the timing layer.
type layer struct {
	radius, halfLength           float64
	sigmaRPhi, sigmaZ, sigmaTime float64
}

// hit is a measured point, prepared for the search.
type hit struct {
	t, x, y, z float64
	r, phi     float64
	// index is its place in the frame.
	index int32
	used  bool
}

// layerHits is the hits of one layer in the order of their times.
type layerHits struct {
	layer
	hits []hit
	// from is the first hit that a window around the present seed can hold: it only moves forward.
	from int
}

// sortHits distributes the frame over the layers. What cannot be a hit of this detector is left out and counted.
func (r *Reconstructor) sortHits(f *stf.Frame) (skipped int) {
	for i := range r.layers {
		r.layers[i].hits = r.layers[i].hits[:0]
	}
	for i, t := range f.Time {
		x, y, z := float64(f.X[i]), float64(f.Y[i]), float64(f.Z[i])
		number := f.Layer[i]
		radius := math.Hypot(x, y)
		if number < 0 || int(number) >= len(r.place) || !finite(t+x+y+z) || radius == 0 {
			skipped++
			continue
		}
		l := &r.layers[r.place[number]]
		l.hits = append(l.hits, hit{t: t, x: x, y: y, z: z, r: radius, phi: math.Atan2(y, x), index: int32(i)})
	}
	for i := range r.layers {
		slices.SortFunc(r.layers[i].hits, func(a, b hit) int {
			switch {
			case a.t < b.t:
				return -1
			case a.t > b.t:
				return 1
			default:
				return int(a.index) - int(b.index)
			}
		})
	}
	return skipped
}

// rewind puts all windows back to the start of the frame.
func (r *Reconstructor) rewind() {
	for i := range r.layers {
		r.layers[i].from = 0
	}
}

// window is the hits within half a width around a time, for times that only grow since the last rewind.
func (l *layerHits) window(t, half float64) []hit {
	for l.from < len(l.hits) && l.hits[l.from].t < t-half {
		l.from++
	}
	end := l.from
	for end < len(l.hits) && l.hits[end].t <= t+half {
		end++
	}
	return l.hits[l.from:end]
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
