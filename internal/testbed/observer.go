package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// observedQueue is the fan-out queue of results that every broker has and none of our programs reads here: daq does not wait
// for results.
const observedQueue = message.QueueResultsFast

// observer sees the results of all runs as a consumer of a fan-out queue does, on a link of its own that nobody breaks: a
// witness beside idds.
type observer struct {
	link                        *broker.Link
	namespace, foreignNamespace string // ours, and that of the slices which nobody here may work on

	mu      sync.Mutex
	known   map[string]struct{}       // messages that were counted
	copies  map[string]map[string]int // run -> identity -> results with state done
	count   map[string]int            // run -> results of any kind
	foreign int                       // results of a slice that is not the namespace's
	changed chan struct{}
}

// newObserver makes an observer; run owns its goroutines.
func newObserver(link *broker.Link, namespace, foreign string) *observer {
	return &observer{
		link: link, namespace: namespace, foreignNamespace: foreign, known: map[string]struct{}{},
		copies: map[string]map[string]int{}, count: map[string]int{}, changed: make(chan struct{}),
	}
}

// run watches until ctx ends.
func (o *observer) run(ctx context.Context) error {
	results := o.link.Subscribe(stomp.SubscribeOptions{
		Destination: observedQueue, Window: 1 << 20, Selector: fmt.Sprintf("namespace='%s' OR namespace='%s'", o.namespace, o.foreignNamespace),
	})
	for ctx.Err() == nil {
		d, err := results.Next(ctx)
		if err == nil {
			o.note(d)
			err = d.Ack(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, broker.ErrStale) && !errors.Is(err, stomp.ErrClosed) {
			return err
		}
	}
	return nil
}

// note counts a result, once for each message that the broker has: one that was not acknowledged comes again.
func (o *observer) note(d *broker.Delivery) {
	m, err := message.Decode[message.SliceResult](d.Body)
	if err != nil {
		return // not for us to judge
	}
	// The last part of the id is the message's on every broker; the rest, where there is any, the subscription's.
	id := d.ID[strings.LastIndexByte(d.ID, ',')+1:] + " " + d.Header.Get("timestamp")
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.known[id]; again {
		return
	}
	o.known[id] = struct{}{}
	if m.Namespace != o.namespace {
		o.foreign++
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
