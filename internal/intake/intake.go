package intake

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/broker"
	"tfpilot/internal/logging"
	"tfpilot/internal/stomp"
)

const (
	// Window is how many bytes of messages may be on their way to a subscription: a batch of some hundreds.
	Window = 1 << 20
	// Batch is how many messages are handled at once, at most.
	Batch = 256
)

// Intake is one destination.
type Intake struct {
	Link *broker.Link
	// Subscription has a window of Window.
	Subscription stomp.SubscribeOptions
	// Handle returns the messages to be acknowledged. The others are somebody else's; they go back when the subscription ends.
	// An error ends the intake, and nothing of the batch is acknowledged.
	Handle  func(ctx context.Context, batch []*broker.Delivery) (ours []*broker.Delivery, err error)
	Backlog *Backlog
	Now     func() time.Time
	Log     *slog.Logger
}

// Run takes in until ctx ends. ready is called when the broker has confirmed the subscription.
func (in *Intake) Run(ctx context.Context, ready func()) error {
	incoming := make(chan *broker.Delivery)
	g, ctx := errgroup.WithContext(ctx)
	listen := func(ready func()) {
		c := in.Link.Subscribe(in.Subscription)
		g.Go(func() error { return in.pump(ctx, c, incoming, ready) })
	}
	listen(ready)
	g.Go(func() error {
		left := leftAlone{most: Window / 2}
		for {
			deliveries, paused, err := gather(ctx, incoming)
			if err != nil {
				return err
			}
			gathered, last := in.Now(), paused && in.Backlog.isLast(deliveries)
			ours, err := in.Handle(ctx, deliveries)
			acked := err == nil && in.acknowledge(ctx, ours)
			in.Backlog.settle(len(deliveries), gathered, last && acked, in.Now())
			if err != nil {
				return err
			}
			if len(ours) < len(deliveries) && left.add(deliveries, ours, in.Link.State().RedeliversForEver()) {
				listen(func() {})
			}
		}
	})
	return g.Wait()
}

// pump hands over what a subscription gets.
func (in *Intake) pump(ctx context.Context, c *broker.Consumer, incoming chan<- *broker.Delivery, ready func()) error {
	defer func() {
		// The context has ended; giving back what was not handled must not wait for a broker that is gone.
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
		defer cancel()
		_ = c.Close(short)
	}()
	var wg sync.WaitGroup
	ended, end := context.WithCancel(ctx)
	defer func() { end(); wg.Wait() }()
	wg.Go(func() {
		select {
		case <-c.Ready():
			ready()
		case <-ended.Done():
		}
	})
	for {
		d, err := c.Next(ctx)
		if err != nil {
			return err
		}
		in.Backlog.came(in.Now())
		select {
		case incoming <- d:
		case <-ctx.Done():
			in.Backlog.dropped()
			return ctx.Err()
		}
	}
}

// leaveLimit bounds what is still done with the broker when the context has ended.
const leaveLimit = 2 * time.Second

// acknowledge tells the broker what is committed, also when the end was asked for meanwhile: it would come twice. It reports whether
// the broker has it.
func (in *Intake) acknowledge(ctx context.Context, ours []*broker.Delivery) bool {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveLimit, cancel) })()
	err := broker.AckAll(late, ours...)
	if err != nil {
		// What was not acknowledged will be delivered again, and change nothing then.
		in.Log.DebugContext(ctx, "acknowledging", logging.Err(err))
	}
	return err == nil
}

// gatherTime is how long a batch waits for more: less than anybody notices, more than a broker needs to send the next.
const gatherTime = 5 * time.Millisecond

// gather waits for a message and takes what comes with it. paused says that it was ended by time and not by a full batch.
func gather(ctx context.Context, incoming <-chan *broker.Delivery) (out []*broker.Delivery, paused bool, err error) {
	out = make([]*broker.Delivery, 0, Batch)
	select {
	case d := <-incoming:
		out = append(out, d)
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	t := time.NewTimer(gatherTime)
	defer t.Stop()
	for len(out) < Batch {
		select {
		case d := <-incoming:
			out = append(out, d)
		case <-t.C:
			return out, true, nil
		}
	}
	return out, false, nil
}
