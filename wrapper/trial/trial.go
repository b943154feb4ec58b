package trial

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/wrapper"
)

// Config is how often and how many at once.
type Config struct {
	Repeat int
	Slots  int
}

// Runner works on slices, in several slots at once.
type Runner interface {
	Run(ctx context.Context, s message.Slice) wrapper.Outcome
}

// Run works on a slice again and again until it has been done often enough or ctx ends. Done is told every outcome, one after another;
// those that the end of ctx cut short are left out.
func Run(ctx context.Context, r Runner, s message.Slice, cfg Config, done func(wrapper.Outcome)) Summary {
	var taken atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := collection{started: time.Now(), slots: cfg.Slots}
	for range cfg.Slots {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(taken.Add(1))
				if n > cfg.Repeat {
					return
				}
				o := r.Run(ctx, again(s, n))
				if ctx.Err() != nil && exitcode.From(o.Err).Fate() == exitcode.FateBack {
					return
				}
				mu.Lock()
				all.add(o)
				done(o)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all.summary()
}

// again is the slice under an identity of its own: an answer that comes late is not to be taken for that of the next one.
func again(s message.Slice, n int) message.Slice {
	s.Content.ReqID = message.Text(fmt.Sprintf("%s.%d", s.Content.Identity(), n))
	return s
}
