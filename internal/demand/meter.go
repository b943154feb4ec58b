package demand

import (
	"math"
	"time"
)

const (
	// meterSpan is how long a meter remembers, in seconds; it has a bucket for each.
	meterSpan = 300
	// recently is what tells a change: the seconds before now.
	recently = 20
	// chunk is what it is looked at in, in seconds, to see how unevenly slices come: a file brings several at once.
	chunk = 10
	// few chunks say nothing of that.
	few = 4
	// unlikely is how many times the usual deviation is no chance any more.
	unlikely = 3
)

// Meter measures how many slices come in a second. The zero value has seen none.
type Meter struct {
	buckets [meterSpan]float64
	second  int64 // of the latest bucket, since 1970
	first   int64
	since   int64 // when they began to come as they do
	uneven  float64
	last    time.Time
}

// Add notes that n came just now.
func (m *Meter) Add(n int, now time.Time) {
	if n <= 0 {
		return
	}
	m.advance(now)
	if m.last.IsZero() {
		m.first, m.since = m.second, m.second
	}
	m.last = now
	m.buckets[m.second%meterSpan] += float64(n)
}

// advance empties the buckets of the seconds that have begun since.
func (m *Meter) advance(now time.Time) {
	to := now.Unix()
	if to-m.second >= meterSpan {
		clear(m.buckets[:])
	} else {
		for s := m.second + 1; s <= to; s++ {
			m.buckets[s%meterSpan] = 0
		}
	}
	m.second = max(m.second, to)
}

// Arrived is what it has measured since slices came as they do: when what came in the last seconds differs from that by more than
// chance does it, what was before says nothing any more. The second that has only begun is left out.
func (m *Meter) Arrived(now time.Time) Arrived {
	m.advance(now)
	a := Arrived{Any: !m.last.IsZero(), LastAt: m.last}
	if !a.Any {
		return a
	}
	known := m.second - m.since
	if before := (min(known, meterSpan-1) - recently) / chunk * chunk; before >= few*chunk || before >= recently && m.uneven > 0 {
		usual := m.count(before, recently) / float64(before)
		if before >= few*chunk {
			m.uneven = m.dispersion(before, usual)
		}
		deviation := math.Sqrt(max(1, usual*recently) * max(1, m.uneven) * (1 + recently/float64(before)))
		if math.Abs(m.count(recently, 0)-usual*recently) > unlikely*deviation {
			m.since, known = m.second, 0
		}
	}
	a.Uneven = max(1, m.uneven)
	known = min(max(known, recently), m.second-m.first, meterSpan-1)
	if known <= 0 {
		return a
	}
	came := m.count(known, 0)
	a.PerSecond, a.Spread = came/float64(known), math.Sqrt(max(1, came)*a.Uneven)/float64(known)
	return a
}

// count is how many came in some seconds, that ended some seconds ago.
func (m *Meter) count(seconds, ago int64) float64 {
	n := 0.0
	for s := m.second - ago - seconds; s < m.second-ago; s++ {
		n += m.buckets[s%meterSpan]
	}
	return n
}

// dispersion is how unevenly they came in the chunks of the seconds before recently: the variance of a chunk by its mean.
func (m *Meter) dispersion(before int64, perSecond float64) float64 {
	mean, n, squares := perSecond*chunk, 0.0, 0.0
	for ago := int64(recently); ago < recently+before; ago += chunk {
		d := m.count(chunk, ago) - mean
		n, squares = n+1, squares+d*d
	}
	return squares / (n - 1) / max(mean, 1)
}
