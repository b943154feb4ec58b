package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/stomp"
)

// ErrConsumerClosed is returned by Next after Close.
var ErrConsumerClosed = errors.New("consumer closed")

// Consumer is a subscription that outlives connections. Next may be called by several goroutines.
type Consumer struct {
	link    *Link
	options stomp.SubscribeOptions
	ready   chan struct{}
	once    sync.Once // closes ready

	mu        sync.Mutex
	tried     *session            // the last one that it was, or is being, subscribed on
	attaching chan struct{}       // closed when attach has ended; nil before the first
	sub       *stomp.Subscription // on tried; nil while there is none
	changed   chan struct{}       // closed and replaced when sub or err changes
	err       error               // why there will be no more messages
}

// Subscribe makes a consumer. It is subscribed on the present connection and on every later one, until it is closed.
func (l *Link) Subscribe(o stomp.SubscribeOptions) *Consumer {
	o.Headers = slices.Clone(o.Headers)
	c := &Consumer{link: l, options: o, ready: make(chan struct{}), changed: make(chan struct{})}
	l.mu.Lock()
	l.consumers = append(l.consumers, c)
	l.mu.Unlock()
	select {
	case l.joined <- struct{}{}:
	default:
	}
	return c
}

// Ready is closed when the broker has confirmed the subscription for the first time.
func (c *Consumer) Ready() <-chan struct{} { return c.ready }

// Next waits for a message. It ends with the context's cause, with ErrConsumerClosed, with ErrClosed when the link has ended,
// or with the broker's refusal of the subscription (a [*stomp.ServerError] inside), which no repetition would mend.
func (c *Consumer) Next(ctx context.Context) (*Delivery, error) {
	for {
		c.mu.Lock()
		s, sub, changed, err := c.tried, c.sub, c.changed, c.err
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		var messages <-chan *stomp.Message
		if sub != nil {
			messages = sub.Messages()
		}
		select {
		case m, ok := <-messages:
			if ok {
				return &Delivery{Message: m, Generation: s.generation, conn: s.Conn}, nil
			}
			c.detach(sub)
		case <-changed:
		case <-c.link.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close unsubscribes with a receipt: when it returns nil, what was delivered and not acknowledged is back in its queue,
// uncounted; or the connection is gone, which has the same effect but counts. When ctx ends first, it still happens.
func (c *Consumer) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.err == nil {
		c.set(nil, c.sub, ErrConsumerClosed)
	}
	attaching := c.attaching
	c.mu.Unlock()
	c.link.remove(c)
	if attaching != nil {
		select {
		case <-attaching:
		case <-ctx.Done():
			return fmt.Errorf("closing the consumer of %s: %w", c.options.Destination, context.Cause(ctx))
		}
	}
	c.mu.Lock()
	sub := c.sub
	c.mu.Unlock()
	if sub == nil {
		return nil
	}
	if err := sub.Unsubscribe(ctx); err != nil && !errors.Is(err, stomp.ErrClosed) {
		return fmt.Errorf("closing the consumer of %s: %w", c.options.Destination, err)
	}
	return nil
}

// claim says whether the consumer is to be subscribed on s, and notes that somebody does.
func (c *Consumer) claim(s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.tried == s {
		return false
	}
	c.attaching = make(chan struct{})
	c.set(s, nil, nil)
	return true
}

// attach subscribes on the session that was claimed.
func (c *Consumer) attach(ctx context.Context, s *session) {
	sub, err := s.Subscribe(ctx, c.options)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(c.attaching)
	switch {
	case err == nil:
		s.answered.Store(true)
		c.set(s, sub, c.err) // also when closed meanwhile: Close waits for it
		c.once.Do(func() { close(c.ready) })
	case errors.Is(err, stomp.ErrClosed), ctx.Err() != nil:
	default:
		if c.err == nil {
			c.set(s, nil, exitcode.Wrap(exitcode.BrokerRefused, err))
		}
		c.link.log.ErrorContext(ctx, "subscription refused", slog.String("destination", c.options.Destination),
			logging.Err(err))
		c.link.remove(c)
	}
}

// detach forgets a subscription that has ended with its connection.
func (c *Consumer) detach(sub *stomp.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sub == sub && c.err == nil {
		c.set(c.tried, nil, nil)
	}
}

// set changes what Next looks at.
func (c *Consumer) set(s *session, sub *stomp.Subscription, err error) {
	c.tried, c.sub, c.err = s, sub, err
	close(c.changed)
	c.changed = make(chan struct{})
}

func (l *Link) remove(c *Consumer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.consumers = slices.DeleteFunc(l.consumers, func(other *Consumer) bool { return other == c })
}
