package live

import (
	"math"

	"tfpilot/internal/document"
)

const (
	// binWidth is from bin to bin of a sketch: the middle of one is off by at most half of that.
	binWidth = 1.05
	// shortest and longest bound the bins; they are seconds.
	shortest, longest = 1e-3, 1e6
	bins              = 426
)

var logWidth = math.Log(binWidth)

// sketch is a sample in a size that does not grow: how many there are of which size, within 3 %.
type sketch struct {
	n   int
	max float64
	of  [bins]uint32
}

func (s *sketch) add(seconds float64) {
	if !(seconds >= 0) { // nor NaN: a clock that is off has data taken after its result
		seconds = 0
	}
	s.n++
	seconds = min(seconds, longest)
	s.max = max(s.max, seconds)
	seconds = max(seconds, shortest)
	s.of[min(bins-1, int(math.Round(math.Log(seconds/shortest)/logWidth)))]++
}

func (s *sketch) merge(other *sketch) {
	if other.n == 0 {
		return
	}
	s.n += other.n
	s.max = max(s.max, other.max)
	for i, n := range other.of {
		s.of[i] += n
	}
}

func (s *sketch) quantiles() document.Quantiles {
	if s.n == 0 {
		return document.Quantiles{}
	}
	at := func(q float64) float64 {
		rank, seen := min(s.n-1, int(q*float64(s.n))), 0
		for i, n := range s.of {
			if seen += int(n); seen > rank {
				return rounded(min(shortest*math.Pow(binWidth, float64(i)), s.max))
			}
		}
		return rounded(s.max)
	}
	return document.Quantiles{N: s.n, P50: at(0.5), P95: at(0.95), Max: rounded(s.max)}
}

// rounded leaves no digits that mean nothing: a board is sent often, and to many.
func rounded(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }
