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
	second  int64     // of the latest bucket, since 1970
	first   time.Time // when the first came
	last    time.Time
}

// Add notes that n came just now.
func (m *Meter) Add(n int, now time.Time) {
	if n <= 0 {
		return
	}
	m.advance(now)
	if m.first.IsZero() {
		m.first = now
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

// Arrived is what it has measured: over all that it remembers or, when that has changed by more than chance does it, over the last
// seconds. The second that has only begun is left out.
func (m *Meter) Arrived(now time.Time) Arrived {
	m.advance(now)
	a := Arrived{Any: !m.first.IsZero(), LastAt: m.last}
	if !a.Any {
		return a
	}
	known := min(m.second-m.first.Unix(), meterSpan-1)
	if known <= 0 {
		return a
	}
	all := m.count(known, 0) / float64(known)
	a.PerSecond = all
	before := (known - recently) / chunk * chunk
	if before < few*chunk {
		a.Spread = math.Sqrt(max(1, all*float64(known))) / float64(known)
		return a
	}
	usual, uneven := m.chunks(before)
	deviation := math.Sqrt(max(1, usual*recently) * uneven * (1 + recently/float64(before)))
	if lately := m.count(recently, 0); math.Abs(lately-usual*recently) > unlikely*deviation {
		a.PerSecond, a.Spread = lately/recently, math.Sqrt(max(1, lately)*uneven)/recently
		return a
	}
	a.Spread = math.Sqrt(max(1, all*float64(known))*uneven) / float64(known)
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

// chunks are how many came in a second in the chunks before recently, and how unevenly: the variance of a chunk by its mean, 1 when
// they come by chance one by one.
func (m *Meter) chunks(seconds int64) (perSecond, uneven float64) {
	n, sum, squares := 0.0, 0.0, 0.0
	for ago := int64(recently); ago < recently+seconds; ago += chunk {
		c := m.count(chunk, ago)
		n, sum, squares = n+1, sum+c, squares+c*c
	}
	mean := sum / n
	variance := (squares - n*mean*mean) / max(1, n-1)
	return mean / chunk, max(1, variance/max(mean, 1))
}
