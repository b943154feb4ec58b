package idds

import (
	"context"
	"errors"
	"strings"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/intake"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// consume takes messages in batches: one transaction, then the acknowledgements.
func (s *Service) consume(ctx context.Context, link *broker.Link, o stomp.SubscribeOptions, ready func()) error {
	waiting := &intake.Backlog{}
	if o.Destination == message.QueueResultsIDDS {
		waiting = &s.results
	}
	in := intake.Intake{
		Link: link, Subscription: o, Backlog: waiting, Now: s.now, Log: s.log,
		Handle: func(ctx context.Context, batch []*broker.Delivery) ([]*broker.Delivery, error) {
			return s.take(ctx, o.Destination, batch)
		},
	}
	return in.Run(ctx, ready)
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
		s.tellSeen(d, &e, err)
		switch {
		case errors.Is(err, errForeign) && !strings.HasPrefix(from, "/topic/"):
			s.foreign.Count(ctx, d.Destination, e.seen.Sender, err)
			continue
		case err != nil: // junk, or a topic's copy of what is others'
			s.junk.Count(ctx, d.Destination, e.seen.Sender, err)
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
	if err := s.watch.Outlast(ctx, func(ctx context.Context) error { return s.enter(ctx, entries, keys, now) }); err != nil {
		return ours, err
	}
	for i := range entries {
		if tell := entries[i].tell; tell != nil {
			tell()
		}
	}
	return ours, s.answer(ctx, entries)
}

// tellSeen says what was seen to whom it concerns. What is another namespace's is nobody's here, and that we are here is no news to us.
func (s *Service) tellSeen(d *broker.Delivery, e *entry, err error) {
	if s.cfg.Saw == nil || errors.Is(err, errForeign) || e.seen.MsgType == message.TypeHeartbeat && e.seen.Sender == s.ledger.Sender {
		return
	}
	m := document.SeenMessage{
		Namespace: s.cfg.Namespace, Destination: d.Destination, MsgType: e.seen.MsgType, Sender: e.seen.Sender, RunID: e.seen.RunID.String(),
		Slice: e.slice.Identity, Bytes: len(d.Body), Body: d.Body,
	}
	if err != nil {
		m.Junk = err.Error()
	}
	s.cfg.Saw(m)
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
				entries[i].tell = func() { s.unmatched.Count(ctx, message.QueueResultsIDDS, entries[i].seen.Sender, err) }
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// Rejected is how many messages were none of ours: junk, and those of another namespace.
func (s *Service) Rejected() (junk, foreign int) { return s.junk.N(), s.foreign.N() }
