package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/stomp"
)

// ErrConsumerClosed is returned by Next after Close.
var ErrConsumerClosed = errors.New("consumer closed")

// Consumer is a subscription that outlives connections.
type Consumer struct {
	link    *Link
	options stomp.SubscribeOptions

	out    chan *Delivery
	stop   context.CancelFunc
	closed chan struct{} // closed when the goroutine has ended
	err    error         // of the closing UNSUBSCRIBE

	ready chan struct{} // closed at the first confirmed subscription
}

// Delivery is a message with the connection that it came on.
type Delivery struct {
	*stomp.Message
	// Generation is the number of that connection.
	Generation uint64
	conn       *stomp.Conn
}

// Ack acknowledges with a receipt. ErrStale says that it came too late: the broker will deliver the message again.
func (d *Delivery) Ack(ctx context.Context) error {
	r, err := d.conn.Ack(ctx, d.Message)
	if err == nil {
		err = r.Wait(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	return err
}

// Subscribe starts a consumer. It ends with ctx as by Close. Call it while Run runs, or before.
func (l *Link) Subscribe(ctx context.Context, o stomp.SubscribeOptions) *Consumer {
	ctx, stop := context.WithCancel(ctx)
	c := &Consumer{
		link: l, options: o, out: make(chan *Delivery), stop: stop,
		closed: make(chan struct{}), ready: make(chan struct{}),
	}
	l.users.Go(func() {
		defer close(c.closed)
		defer stop()
		c.run(ctx)
	})
	return c
}

// Next waits for a message. It returns ErrConsumerClosed after the consumer's end.
func (c *Consumer) Next(ctx context.Context) (*Delivery, error) {
	select {
	case d := <-c.out:
		return d, nil
	case <-c.closed:
		return nil, ErrConsumerClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Ready is closed when the broker has confirmed the subscription for the first time.
func (c *Consumer) Ready() <-chan struct{} { return c.ready }

// Close unsubscribes with a receipt: what was delivered and not acknowledged is back in its queue, uncounted. It returns when
// that is done, or the connection is gone, which has the same effect but counts.
func (c *Consumer) Close() error {
	c.stop()
	<-c.closed
	return c.err
}

func (c *Consumer) run(ctx context.Context) {
	for {
		conn, generation, err := c.link.connection(ctx)
		if err != nil {
			return
		}
		sub, err := conn.Subscribe(ctx, c.options)
		if err != nil {
			if ctx.Err() != nil {
				c.abandon(ctx, conn, sub)
				return
			}
			c.link.log.WarnContext(ctx, "subscribing again", slog.String("destination", c.options.Destination), logging.Err(err))
			<-conn.Done() // a refused SUBSCRIBE ends the connection
			c.link.awaitChange(ctx, conn)
			continue
		}
		select {
		case <-c.ready:
		default:
			close(c.ready)
		}
		if c.forward(ctx, conn, sub, generation) {
			c.abandon(ctx, conn, sub)
			return
		}
		c.link.awaitChange(ctx, conn)
	}
}

// forward moves messages on; ended says that the consumer is to stop, otherwise the connection is gone.
func (c *Consumer) forward(ctx context.Context, conn *stomp.Conn, sub *stomp.Subscription, generation uint64) (ended bool) {
	for {
		select {
		case m, ok := <-sub.Messages():
			if !ok {
				return false
			}
			select {
			case c.out <- &Delivery{Message: m, Generation: generation, conn: conn}:
			case <-conn.Done():
				return false
			case <-ctx.Done():
				return true
			}
		case <-ctx.Done():
			return true
		}
	}
}

// abandon unsubscribes after the context's end, within a time of its own.
func (c *Consumer) abandon(ctx context.Context, conn *stomp.Conn, sub *stomp.Subscription) {
	if sub == nil {
		// SUBSCRIBE was sent and not confirmed: only the end of the connection is sure to undo it. It is rare.
		_ = conn.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := sub.Unsubscribe(ctx); err != nil && conn.Err() == nil {
		c.err = exitcode.Wrap(exitcode.NoBroker, err)
	}
}
