package frontdoor

import (
	"sync"

	"golang.org/x/time/rate"
)

// maxCallers bounds for how many it is remembered how often they called. When there are more, all begin anew.
const maxCallers = 10_000

// Callers bounds how often each caller may call.
type Callers struct {
	perSecond int

	mu sync.Mutex
	of map[string]*rate.Limiter
}

// NewCallers lets each call so many times a second, twice as many at once; as often as they like when it is 0.
func NewCallers(perSecond int) *Callers {
	return &Callers{perSecond: perSecond, of: map[string]*rate.Limiter{}}
}

// Allow counts a call, and says whether there may be one.
func (c *Callers) Allow(caller string) bool {
	if c.perSecond <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.of[caller]
	if l == nil {
		if len(c.of) >= maxCallers {
			clear(c.of)
		}
		l = rate.NewLimiter(rate.Limit(c.perSecond), 2*c.perSecond)
		c.of[caller] = l
	}
	return l.Allow()
}
