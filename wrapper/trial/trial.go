package trial

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// Config is how often and how many at once.
type Config struct {
	Repeat int
	Slots  int
}

// Runner works on slices, in several slots at once.
type Runner interface {
	Prepare(ctx context.Context, slot int) (payload.Startup, error)
	Run(ctx context.Context, s message.Slice) wrapper.Outcome
}

// Run makes all slots ready, and works on a slice again and again until it has been done often enough or ctx ends. Done is told every
// outcome, one after another; those that the end of ctx cut short are left out. The error is that of a slot that did not become
// ready.
func Run(ctx context.Context, r Runner, s message.Slice, cfg Config, done func(wrapper.Outcome)) (Summary, error) {
	startups, err := prepare(ctx, r, cfg.Slots)
	if err != nil {
		return Summary{}, err
	}
	var taken atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := collection{started: time.Now(), slots: cfg.Slots, startups: startups}
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
	return all.summary(), nil
}

// prepare makes all slots ready, side by side, and says how long those took that were not.
func prepare(ctx context.Context, r Runner, n int) (startups []float64, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for slot := range n {
		g.Go(func() error {
			started, err := r.Prepare(ctx, slot)
			mu.Lock()
			defer mu.Unlock()
			if started.Took > 0 {
				startups = append(startups, started.Took.Seconds())
			}
			return err
		})
	}
	return startups, g.Wait()
}

// again is the slice under an identity of its own: an answer that comes late is not to be taken for that of the next one.
func again(s message.Slice, n int) message.Slice {
	s.Content.ReqID = message.Text(fmt.Sprintf("%s.%d", s.Content.Identity(), n))
	return s
}
