package idds

import (
	"context"
	"encoding/json"
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
		enter, err := s.read(ctx, d)
		switch {
		case errors.Is(err, errForeign) && !strings.HasPrefix(from, "/topic/"):
			s.foreign.count(ctx, d, err)
			continue
		case err != nil: // junk, or a topic's copy of what is others'
			s.junk.count(ctx, d, err)
		default:
			entries = append(entries, enter)
		}
		ours = append(ours, d)
	}
	if len(entries) == 0 {
		return ours, nil
	}
	now := s.now().UTC()
	return ours, s.store.Update(ctx, func(tx ledger.Tx) error {
		for _, enter := range entries {
			err := enter(tx, now)
			if errors.Is(err, ledger.ErrUnmatched) {
				s.log.WarnContext(ctx, "result fits no slice", logging.Err(err))
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// entry is what a message changes in the ledger.
type entry func(tx ledger.Tx, now time.Time) error

// errForeign marks a message of another namespace: its header and its body disagree.
var errForeign = errors.New("message of another namespace")

// errJunk marks what is no message of ours: acknowledged, counted, forgotten.
var errJunk = errors.New("junk")

// read understands a message. Its error is errForeign or errJunk.
func (s *Service) read(ctx context.Context, d *broker.Delivery) (entry, error) {
	e, err := message.Peek(d.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errJunk, err)
	}
	if e.Sender == s.ledger.Sender && e.MsgType != message.TypeSlice { // on a topic we hear ourselves
		return func(ledger.Tx, time.Time) error { return nil }, nil
	}
	if e.Namespace != "" && e.Namespace != s.cfg.Namespace {
		return nil, fmt.Errorf("%w: %.40q, sent by %.40q", errForeign, e.Namespace, e.Sender)
	}
	switch {
	case e.MsgType == message.TypeSlice && d.Header.Get(message.HeaderOriginalQueue) != "":
		return s.readDead(ctx, d)
	case e.MsgType == message.TypeSlice:
		m, err := s.readSlice(d)
		return func(tx ledger.Tx, now time.Time) error { return s.sent(ctx, tx, m, d.Body, now) }, err
	case e.MsgType == message.TypeSliceResult:
		m, err := decode[message.SliceResult](d.Body)
		m.Namespace = s.cfg.Namespace
		return func(tx ledger.Tx, now time.Time) error { return s.ledger.Result(tx, m, now) }, err
	case e.MsgType == message.TypeRunImminentWorker || e.MsgType == message.TypeRunImminent:
		m, err := decode[message.RunImminentWorker](d.Body)
		m.Namespace = s.cfg.Namespace
		return func(tx ledger.Tx, now time.Time) error {
			s.log.InfoContext(ctx, "run announced", slog.String(logging.KeyRun, m.RunID.String()), slog.Int("workers", m.Workers()))
			return s.ledger.Announce(tx, m, now)
		}, err
	case message.IsWorkflowTask(e.MsgType):
		m, err := decode[message.WorkflowTask](d.Body)
		m.Namespace = s.cfg.Namespace
		return func(tx ledger.Tx, now time.Time) error {
			news, err := s.ledger.Task(tx, m, now)
			s.tell(ctx, news, ledger.DutyDemand, m.Sender, m.MsgType, m.Run())
			return err
		}, err
	case e.MsgType == message.TypeStopTransformer:
		m, err := decode[message.StopTransformer](d.Body)
		m.Namespace = s.cfg.Namespace
		return func(tx ledger.Tx, now time.Time) error {
			news, err := s.ledger.Stop(tx, m, now)
			s.tell(ctx, news, ledger.DutyStop, m.Sender, m.MsgType, m.RunID)
			return err
		}, err
	case message.IsEndRun(e.MsgType):
		m, err := decode[message.EndRun](d.Body)
		m.Namespace = s.cfg.Namespace
		return func(tx ledger.Tx, now time.Time) error {
			s.log.InfoContext(ctx, "run ended", slog.String(logging.KeyRun, m.RunID.String()))
			return s.ledger.End(tx, m, now)
		}, err
	default:
		return nil, fmt.Errorf("%w: msg_type %.40q", errJunk, e.MsgType)
	}
}

// sent notes a published slice.
func (s *Service) sent(ctx context.Context, tx ledger.Tx, m message.Slice, body []byte, now time.Time) error {
	news, err := s.ledger.Sent(tx, m, body, now)
	s.tell(ctx, news, ledger.DutyRetry, m.Sender, m.MsgType, m.Run())
	return err
}

// tell logs, when it is news, that another program does what is our duty.
func (s *Service) tell(ctx context.Context, news bool, duty ledger.Duty, sender, msgType string, run message.RunID) {
	if news {
		s.log.WarnContext(ctx, "another program does what is configured to be the duty of this one; see idds doctor",
			slog.String("duty", string(duty)), slog.String("sender", fmt.Sprintf("%.80s", sender)), slog.String("msg_type", msgType),
			slog.String(logging.KeyRun, run.String()))
	}
}

// readDead understands a slice that the broker gave up.
func (s *Service) readDead(ctx context.Context, d *broker.Delivery) (entry, error) {
	m, err := s.readSlice(d)
	return func(tx ledger.Tx, now time.Time) error {
		s.log.WarnContext(ctx, "slice found among the dead letters", slog.String(logging.KeySlice, m.Content.Identity()))
		if err := s.sent(ctx, tx, m, d.Body, now); err != nil { // its copy for us may come later
			return err
		}
		k := ledger.Key{Namespace: s.cfg.Namespace, Run: m.Run().String(), Identity: m.Content.Identity()}
		return s.ledger.Lost(tx, k, m.Content.AttemptNumber(), reasonDead, now)
	}, err
}

// readSlice understands a slice. An invalid one with identity is known all the same: its pilot will say that it failed.
func (s *Service) readSlice(d *broker.Delivery) (message.Slice, error) {
	var m message.Slice
	if err := json.Unmarshal(d.Body, &m); err != nil {
		return m, fmt.Errorf("%w: %w", errJunk, err)
	}
	if err := m.Validate(); errors.Is(err, message.ErrNoIdentity) {
		return m, fmt.Errorf("%w: %w", errJunk, err)
	}
	m.Namespace = s.cfg.Namespace
	return m, nil
}

func decode[T interface{ Validate() error }](body []byte) (T, error) {
	m, err := message.Decode[T](body)
	if err != nil {
		return m, fmt.Errorf("%w: %w", errJunk, err)
	}
	return m, nil
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
