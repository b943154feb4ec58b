package api

import (
	"sync"

	"golang.org/x/time/rate"
)

// maxCallers bounds for how many it is remembered how often they called. When there are more, all begin anew.
const maxCallers = 10_000

// callers bounds how often each caller may call.
type callers struct {
	perSecond int

	mu sync.Mutex
	of map[string]*rate.Limiter
}

func newCallers(perSecond int) *callers {
	return &callers{perSecond: perSecond, of: map[string]*rate.Limiter{}}
}

func (c *callers) allow(caller string) bool {
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
