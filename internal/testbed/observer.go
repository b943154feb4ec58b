package testbed

import (
	"context"
	"errors"
	"sync"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// observer sees the results of all runs as they leave the broker, on a link of its own that nobody breaks: a witness beside
// idds. What passes while the broker is dead it misses, as any subscriber of a topic does.
type observer struct {
	link *broker.Link

	mu      sync.Mutex
	copies  map[string]map[string]int // run -> identity -> results with state done
	count   map[string]int            // run -> results of any kind
	foreign int                       // results of a slice that is not the namespace's
	changed chan struct{}
}

// newObserver makes an observer; run owns its goroutines.
func newObserver(link *broker.Link) *observer {
	return &observer{link: link, copies: map[string]map[string]int{}, count: map[string]int{}, changed: make(chan struct{})}
}

// run watches until ctx ends.
func (o *observer) run(ctx context.Context, namespace string) error {
	results := o.link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicResults, Window: 1 << 20})
	for ctx.Err() == nil {
		d, err := results.Next(ctx)
		if err == nil {
			o.note(d.Body, namespace)
			err = d.Ack(ctx)
		}
		// Of a topic there is no redelivery: an ACK that comes too late is no loss.
		if err != nil && ctx.Err() == nil && !errors.Is(err, broker.ErrStale) && !errors.Is(err, stomp.ErrClosed) {
			return err
		}
	}
	return nil
}

func (o *observer) note(body []byte, namespace string) {
	m, err := message.Decode[message.SliceResult](body)
	if err != nil {
		return // somebody else's, on a broker that is not ours alone
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.Namespace != namespace {
		if m.Namespace == foreignNamespace {
			o.foreign++
		}
		return
	}
	run := m.RunID.String()
	o.count[run]++
	if m.Content.State == message.StateDone {
		if o.copies[run] == nil {
			o.copies[run] = map[string]int{}
		}
		o.copies[run][m.Identity()]++
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

// seen is how many results of a run there were.
func (o *observer) seen(run string) (n int, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count[run], o.changed
}

// await waits until there were at least n results of a run and returns when that was.
func (o *observer) await(ctx context.Context, run string, n int) (time.Time, error) {
	for {
		now, changed := o.seen(run)
		if now >= n {
			return time.Now(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

// again is how many results of a run were the second or a further done of their slice.
func (o *observer) again(run string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, copies := range o.copies[run] {
		n += copies - 1
	}
	return n
}

// foreignSeen is how many results there were of slices that are somebody else's.
func (o *observer) foreignSeen() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.foreign
}
