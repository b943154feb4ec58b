package scaler

import (
	"math"
	"time"

	"tfpilot/internal/demand"
	"tfpilot/internal/ledger"
)

// course is how a run went until now.
type course struct {
	meter      demand.Meter
	processing demand.Times
	before     demand.Memory
	backlog    backlog
	trace      trace

	seen      bool
	published int
	bins      map[payload]map[int]int // of each version, how many slices took how long
}

type payload struct{ name, version string }

// look takes in what has changed since the last one.
func (c *course) look(r *ledger.Run, all *demand.Times, now time.Time) {
	if c.seen || r.LastSliceAt.IsZero() || now.Sub(r.LastSliceAt) < time.Second { // of those that came before we looked first nobody knows when
		c.meter.Add(r.Published-c.published, now)
	}
	c.published = r.Published
	if c.bins == nil {
		c.bins = map[payload]map[int]int{}
	}
	for i := range r.Payloads {
		p := &r.Payloads[i]
		key := payload{p.Name, p.Version}
		last := c.bins[key]
		if last == nil {
			last = map[int]int{}
			c.bins[key] = last
		}
		for bin, n := range p.Seconds {
			if more := n - last[bin]; more > 0 {
				c.processing.Add(bin, more, now)
				all.Add(bin, int(math.Ceil(float64(more)/lightly)), now)
				last[bin] = n
			}
		}
	}
	c.seen = true
}

// lightly is by how much fewer slices of other runs count: there are many, and they are a guess alone.
const lightly = 10
