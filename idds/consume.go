package idds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// window is how many bytes of messages may wait for the store: a batch of some hundreds.
const window = 1 << 20

// batch is how many messages share a transaction.
const batch = 256

// consume takes messages in batches: one transaction, then the acknowledgements.
func (s *Service) consume(ctx context.Context, link *broker.Link, o stomp.SubscribeOptions, ready func()) error {
	waiting := &backlog{}
	if o.Destination == message.QueueResultsIDDS {
		waiting = &s.results
	}
	incoming := make(chan *broker.Delivery)
	g, ctx := errgroup.WithContext(ctx)
	listen := func(ready func()) {
		c := link.Subscribe(o)
		g.Go(func() error { return s.pump(ctx, c, waiting, incoming, ready) })
	}
	listen(ready)
	g.Go(func() error {
		left := leftAlone{most: window / 2}
		for {
			deliveries, paused, err := gather(ctx, incoming)
			if err != nil {
				return err
			}
			gathered, last := s.now(), paused && waiting.isLast(deliveries)
			ours, err := s.take(ctx, o.Destination, deliveries)
			acked := err == nil && s.acknowledge(ctx, ours)
			waiting.settle(len(deliveries), gathered, last && acked, s.now())
			if err != nil {
				return err
			}
			if len(ours) < len(deliveries) && left.add(deliveries, ours, s.link.State().RedeliversForEver()) {
				listen(func() {})
			}
		}
	})
	return g.Wait()
}

// pump hands over what a subscription gets.
func (s *Service) pump(ctx context.Context, c *broker.Consumer, waiting *backlog, incoming chan<- *broker.Delivery, ready func()) error {
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
		waiting.came(s.now())
		select {
		case incoming <- d:
		case <-ctx.Done():
			waiting.dropped()
			return ctx.Err()
		}
	}
}

// leaveLimit bounds what is still done with the broker when the context has ended.
const leaveLimit = 2 * time.Second

// acknowledge tells the broker what is committed, also when the end of idds was asked for meanwhile: it would come twice. It
// reports whether the broker has it.
func (s *Service) acknowledge(ctx context.Context, ours []*broker.Delivery) bool {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveLimit, cancel) })()
	err := broker.AckAll(late, ours...)
	if err != nil {
		// What was not acknowledged will be delivered again, and change nothing then.
		s.log.DebugContext(ctx, "acknowledging", logging.Err(err))
	}
	return err == nil
}

// gatherTime is how long a batch waits for more: less than anybody notices, more than a broker needs to send the next.
const gatherTime = 2 * time.Millisecond

// gather waits for a message and takes what comes with it. paused says that it was ended by time and not by a full batch.
func gather(ctx context.Context, incoming <-chan *broker.Delivery) (out []*broker.Delivery, paused bool, err error) {
	out = make([]*broker.Delivery, 0, batch)
	select {
	case d := <-incoming:
		out = append(out, d)
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	t := time.NewTimer(gatherTime)
	defer t.Stop()
	for len(out) < batch {
		select {
		case d := <-incoming:
			out = append(out, d)
		case <-t.C:
			return out, true, nil
		}
	}
	return out, false, nil
}

// take handles a batch in one transaction and returns what is to be acknowledged. A message of another namespace that got past
// the selector is not: it goes back when the subscription ends.
//
// from is where we subscribed: a message's own destination is where its producer sent it, which queues bound to a topic keep.
func (s *Service) take(ctx context.Context, from string, deliveries []*broker.Delivery) (ours []*broker.Delivery, err error) {
	ours = make([]*broker.Delivery, 0, len(deliveries))
	entries := make([]entry, 0, len(deliveries))
	for _, d := range deliveries { // before the transaction: other batches have theirs meanwhile
		e, err := s.read(ctx, d)
		switch {
		case errors.Is(err, errForeign) && !strings.HasPrefix(from, "/topic/"):
			s.foreign.count(ctx, d, err)
			continue
		case err != nil: // junk, or a topic's copy of what is others'
			s.junk.count(ctx, d, err)
		default:
			entries = append(entries, e)
		}
		ours = append(ours, d)
	}
	if len(entries) == 0 {
		return ours, nil
	}
	keys := make([]ledger.Key, 0, len(entries))
	for i := range entries {
		if entries[i].slice.Identity != "" {
			keys = append(keys, entries[i].slice)
		}
	}
	now := s.now().UTC()
	return ours, s.outlast(ctx, func(ctx context.Context) error { return s.enter(ctx, entries, keys, now) })
}

// enter handles in one transaction what messages say; keys are the slices that they tell of.
func (s *Service) enter(ctx context.Context, entries []entry, keys []ledger.Key, now time.Time) error {
	return s.store.Update(ctx, func(tx ledger.Tx) error {
		if err := tx.Expect(keys); err != nil {
			return err
		}
		for i := range entries {
			err := entries[i].apply(tx, now)
			if errors.Is(err, ledger.ErrUnmatched) {
				s.log.WarnContext(ctx, "result fits no slice", logging.Err(err))
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// sightings counts messages of one kind and logs them once a minute.
type sightings struct {
	log  *slog.Logger
	what string

	mu   sync.Mutex
	n    int
	said time.Time
}

func (j *sightings) count(ctx context.Context, d *broker.Delivery, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.n++
	if now := time.Now(); now.Sub(j.said) >= time.Minute {
		j.said = now
		e, _ := message.Peek(d.Body)
		j.log.WarnContext(ctx, "messages are not ours", slog.String("kind", j.what), slog.Int("count", j.n), slog.String("destination", d.Destination),
			slog.String("sender", fmt.Sprintf("%.40s", e.Sender)), logging.Err(err))
	}
}
