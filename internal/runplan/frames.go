package runplan

import (
	"math/rand/v2"
)

// Range is frames First to Last of an STF, both inclusive, counted from 0.
type Range struct{ First, Last int }

// Count is the number of frames.
func (r Range) Count() int { return r.Last - r.First + 1 }

// All is the whole STF of n frames.
func All(n int) Range { return Range{0, n - 1} }

// Split cuts r into n ranges of equal width floor(count/n); the last takes the rest. With fewer frames than n there is one
// range per frame.
func Split(r Range, n int) []Range {
	n = min(n, r.Count())
	if n < 1 {
		return nil
	}
	width := r.Count() / n
	out := make([]Range, n)
	for i := range out {
		first := r.First + i*width
		out[i] = Range{first, first + width - 1}
	}
	out[n-1].Last = r.Last
	return out
}

// Chunk cuts r into ranges of q frames; the last has what is left.
func Chunk(r Range, q int) []Range {
	var out []Range
	for first := r.First; q > 0 && first <= r.Last; first += q {
		out = append(out, Range{first, min(first+q-1, r.Last)})
	}
	return out
}

// Sample chooses one sample of frames in each of k partitions of an STF of n frames: its size is fraction of the partition
// with a Gaussian relative spread, its place uniform. Samples do not overlap.
func Sample(n, k int, fraction, spread float64, rng *rand.Rand) []Range {
	out := Split(All(n), k)
	for i, part := range out {
		size := part.Count()
		s := max(1, min(size, int(float64(size)*fraction*(1+spread*rng.NormFloat64()))))
		first := part.First + rng.IntN(size-s+1)
		out[i] = Range{first, first + s - 1}
	}
	return out
}
