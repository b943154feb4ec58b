package demand

import (
	"maps"
	"math"
	"slices"
	"time"
)

const (
	// binWidth is from bin to bin, as in a run's sums: a time is known within half of that.
	binWidth = 1.05
	// ProcessingHalfLife is after how long the time of a slice counts half: payloads change with the run.
	ProcessingHalfLife = 2 * time.Minute
	// StartupHalfLife is that of a worker's start: batch systems change slowly.
	StartupHalfLife = time.Hour
	// tooLight is a weight that no longer says anything.
	tooLight = 1e-3
)

// Times are how long something took, of which what is old counts less and less: its quantiles follow what changes. The zero value
// has seen nothing.
type Times struct {
	// HalfLife is after how long a time counts half. It never does when it is 0.
	HalfLife time.Duration

	bins map[int]float64
	at   time.Time
	n    int
}

// Bin is the bin of a time in seconds.
func Bin(seconds float64) int {
	return int(math.Round(math.Log(max(seconds, 1e-5)) / math.Log(binWidth)))
}

// Add notes n times of a bin.
func (t *Times) Add(bin, n int, now time.Time) {
	if n <= 0 {
		return
	}
	if t.bins == nil {
		t.bins = map[int]float64{}
	}
	t.decay(now)
	t.bins[bin] += float64(n)
	t.n += n
}

func (t *Times) decay(now time.Time) {
	since := now.Sub(t.at)
	if t.HalfLife <= 0 || t.at.IsZero() || since < t.HalfLife/64 {
		if t.at.IsZero() {
			t.at = now
		}
		return
	}
	t.at = now
	keep := math.Exp2(-float64(since) / float64(t.HalfLife))
	for bin := range t.bins {
		t.bins[bin] *= keep
	}
	maps.DeleteFunc(t.bins, func(_ int, weight float64) bool { return weight < tooLight })
}

// N is how many were noted.
func (t *Times) N() int { return t.n }

// Took is what they say.
func (t *Times) Took() Took {
	weight, sum, squares := 0.0, 0.0, 0.0
	for bin, w := range t.bins {
		took := math.Pow(binWidth, float64(bin))
		weight, sum, squares = weight+w, sum+w*took, squares+w*took*took
	}
	if weight == 0 {
		return Took{}
	}
	mean := sum / weight
	return Took{
		N: t.n, Mean: seconds(mean), Spread: seconds(math.Sqrt(max(0, squares/weight-mean*mean))),
		Median: t.quantile(0.5, weight), High: t.quantile(0.95, weight),
	}
}

func (t *Times) quantile(q, weight float64) time.Duration {
	seen, last := 0.0, 0
	for _, bin := range slices.Sorted(maps.Keys(t.bins)) {
		last = bin
		if seen += t.bins[bin]; seen >= q*weight {
			break
		}
	}
	return seconds(math.Pow(binWidth, float64(last)))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
