package pilot

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// slot holds one slice at a time.
type slot struct {
	p      *Pilot
	number int
	log    *slog.Logger
	// released counts the slices given back in a row because of the site.
	released int
	// selected is the run that the subscription names, none when it is empty; rebound is closed when the pilot serves another one.
	selected string
	rebound  <-chan struct{}
	foreign  uint64 // the connection on which the last foreign message came
	parked   sync.WaitGroup
	// ahead ends when what this slot holds ahead is to be given back; nil for a slot that runs payloads of its own.
	ahead   context.Context //nolint:containedctx // the slot's own life, beside that of its work
	holding atomic.Int32    // subscriptions that are parked
	payload readiness
}

// errRelease says that the slice is to be given back uncounted.
var errRelease = errors.New("slice released")

// errForeign says that a message is somebody else's: what its header says of it, by which it was selected, is not so.
var errForeign = errors.New("message of others")

// run takes slices until take ends; what is in hand then goes on for as long as work allows, and is given back otherwise.
func (s *slot) run(take, work context.Context, stop context.CancelCauseFunc) {
	defer s.parked.Wait()
	var old *broker.Consumer // with the selector of before, kept until the one that the run asks for is confirmed
	leaveOld := func() {
		s.leave(work, old)
		old = nil
	}
	defer leaveOld()
	for {
		whileFit := s.p.awaitFit(take, leaveOld)
		if whileFit == nil {
			return
		}
		whileReady, end, ok := s.prepare(whileFit, stop, leaveOld)
		if !ok {
			continue // the node is not fit any more, or take has ended
		}
		c := s.subscribe()
		select {
		case <-c.Ready():
			s.p.ready()
		case <-whileReady.Done():
		}
		leaveOld()
		err := s.cycle(whileReady, work, c)
		end()
		if errors.Is(err, errRebound) {
			old = c
			continue
		}
		if errors.Is(err, errForeign) && s.holding.Load() < maxParked {
			s.park(take, c, s.foreign)
			continue
		}
		s.leave(work, c)
		switch {
		case errors.Is(err, errNotBegun): // by one that was held ahead
			s.p.resting(1)
			s.p.awaitFree(take)
			s.p.resting(-1)
		case errors.Is(err, errRelease), errors.Is(err, errForeign):
			s.p.resting(1)
			s.p.rest(take, s.released)
			s.p.resting(-1)
			s.released++
		case err != nil && take.Err() == nil:
			stop(err)
		}
	}
}

// subscribe is a subscription that holds one slice, of the run that the pilot serves now.
func (s *slot) subscribe() *broker.Consumer {
	s.selected, s.rebound = s.p.serves()
	return s.p.link.Subscribe(stomp.SubscribeOptions{
		Destination: s.p.to.Slices, Selector: s.p.selector(s.selected), Ack: "client-individual", Window: 1,
	})
}

// maxParked is how many foreign messages a slot keeps: more are given back, and the slot rests.
const maxParked = 8

// park keeps a message that is not ours where it is, unacknowledged, on a subscription of its own, until the pilot leaves or the
// connection ends. Given back at once it would come again before all others, to us or to the next pilot, and nobody would get
// to the slices behind it.
func (s *slot) park(take context.Context, c *broker.Consumer, generation uint64) {
	s.holding.Add(1)
	s.parked.Go(func() {
		defer s.holding.Add(-1)
		defer s.leave(take, c)
		for {
			changed := s.p.link.Changed()
			if s.p.link.State().Generation != generation {
				return
			}
			select {
			case <-changed:
			case <-take.Done():
				return
			}
		}
	})
}

// leave ends a subscription: what is not acknowledged goes back to the queue without being counted.
func (s *slot) leave(ctx context.Context, c *broker.Consumer) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		s.log.DebugContext(ctx, "unsubscribing", logging.Err(err))
	}
}

// rest keeps a slot from trying the same again at once, for the nth time in a row (from 0): a tenth of SiteHold, then twice as
// long each time, up to ten times SiteHold. A fault thus costs no more than a tenth of SiteHold, or its own time, once again.
func (p *Pilot) rest(ctx context.Context, n int) {
	t := time.NewTimer(min(p.cfg.SiteHold/10<<min(n, 7), 10*p.cfg.SiteHold))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// cycle works on slices of one subscription, until the pilot serves another run than it selects.
func (s *slot) cycle(take, work context.Context, c *broker.Consumer) error {
	take, end := context.WithCancelCause(take)
	defer end(nil)
	rebound := s.rebound // the next subscription has another
	go func() {
		select {
		case <-rebound:
			end(errRebound)
		case <-take.Done():
		}
	}()
	for take.Err() == nil {
		d, err := c.Next(take)
		if err != nil {
			if take.Err() != nil {
				break
			}
			return err
		}
		if err := s.handle(work, d); err != nil {
			return err
		}
	}
	if errors.Is(context.Cause(take), errRebound) {
		return errRebound
	}
	return nil
}

// handle does one delivery: receive, journal, run, journal, publish, acknowledge, drop.
func (s *slot) handle(ctx context.Context, d *broker.Delivery) error {
	m, err := s.p.accept(ctx, d)
	if err != nil {
		if errors.Is(err, errForeign) {
			s.foreign = d.Generation
			return err
		}
		_, err = s.ack(ctx, d) // junk: not ours to keep
		return err
	}
	k := JournalKey{Identity: m.Content.Identity(), Attempt: m.Content.AttemptNumber()}
	if m.Run().Validate() == nil { // else the slice is of no run, and fails
		k.Run = m.Run().String()
	}
	if err := s.p.take(ctx, k); errors.Is(err, errRebound) && s.selected != "" && s.selected != k.Run {
		s.log.ErrorContext(ctx, "slice of another run is left alone", slog.String(logging.KeyRun, k.Run), slog.String("sender", m.Sender))
		s.foreign = d.Generation
		return errForeign
	} else if err != nil {
		return err
	}
	defer s.p.leave(k)
	if d.Generation != s.p.link.State().Generation {
		return nil // it waited for another slot, and the connection that it came on is gone: the broker has it again
	}

	var took time.Duration
	result, done, known := s.p.journal.Find(k)
	if known {
		s.log.InfoContext(ctx, "redelivered slice answered from the journal", k.run(), k.slice(), k.attempt())
	} else if result, done, took, err = s.work(ctx, m, k); err != nil {
		return err
	}
	s.p.hold(k)
	held := time.Now()
	if err := s.p.publish(ctx, m, done, result); err != nil {
		return err // held in the journal; the slice stays unacknowledged
	}
	s.p.journal.Published(k)
	if settled, err := s.ack(ctx, d); !settled {
		return err // it comes again: the journal answers it then
	}
	s.p.journal.Drop(k)
	if !known {
		s.p.settled(took, time.Since(held))
	}
	return nil
}

// work runs the payload and returns its result when it is in the journal. A journal that cannot be written is a fault of the site,
// as a full disk is anywhere else.
func (s *slot) work(ctx context.Context, m message.Slice, k JournalKey) (result []byte, done bool, took time.Duration, err error) {
	var o wrapper.Outcome
	if err := s.p.noTime(frames(m), 0); err != nil {
		s.log.InfoContext(ctx, "slice given back before it was begun", k.run(), k.slice(), k.attempt(), logging.Err(err))
		s.p.released()
		return nil, false, 0, err
	}
	if err := s.p.journal.Received(k); err != nil {
		now := time.Now()
		o = wrapper.Outcome{Payload: s.p.runner.Identity(), Started: now, Ended: now, Err: exitcode.Wrap(exitcode.StoreFailed, err)}
	} else {
		if o, err = s.execute(ctx, m, k); err != nil {
			s.p.journal.Drop(k)
			return nil, false, 0, err
		}
	}
	if o.Err != nil && (s.p.endedFromOutside(ctx, o) || s.p.notItsFault(ctx, o.Err, k)) {
		return nil, false, 0, s.giveBack(ctx, k, o.Err)
	}
	done, took = o.Err == nil, s.p.worked(k, o)
	if result, err = s.p.result(m, o); err != nil {
		return nil, false, 0, err
	}
	if err := s.p.journal.Outcome(k, done, result); err != nil {
		if s.p.notItsFault(ctx, exitcode.Wrap(exitcode.StoreFailed, err), k) {
			return nil, false, 0, s.giveBack(ctx, k, err)
		}
		// It was given back often enough. Only a kill before the acknowledgement could have it worked on again.
		s.log.WarnContext(ctx, "result sent without being in the journal", k.run(), k.slice(), k.attempt(), logging.Err(err))
	}
	s.released = 0
	s.p.count(k, o, took, frames(m))
	if done {
		s.log.InfoContext(ctx, "slice done", k.run(), k.slice(), k.attempt(), slog.Duration("took", took))
	} else {
		s.log.WarnContext(ctx, "slice failed", k.run(), k.slice(), k.attempt(), slog.Any("payload_logs", o.Logs), logging.Err(o.Err))
	}
	return result, done, took, nil
}

// giveBack has the slot release the slice and rest.
func (s *slot) giveBack(ctx context.Context, k JournalKey, why error) error {
	s.log.WarnContext(ctx, "slice given back", k.run(), k.slice(), k.attempt(), logging.Err(why))
	s.p.released()
	s.p.journal.Drop(k)
	return errRelease
}

// ack acknowledges; settled says that the broker has it. Too late is no error: the broker delivers the slice again.
func (s *slot) ack(ctx context.Context, d *broker.Delivery) (settled bool, err error) {
	err = d.Ack(ctx)
	if errors.Is(err, broker.ErrStale) {
		s.log.InfoContext(ctx, "acknowledged too late", logging.Err(err))
		return false, nil
	}
	return err == nil, err
}

// accept decodes a delivery. Its error is errForeign for somebody else's slice, anything else for junk.
func (p *Pilot) accept(ctx context.Context, d *broker.Delivery) (message.Slice, error) {
	m, err := message.Decode[message.Slice](d.Body)
	if m.MsgType != message.TypeSlice || m.Content.Identity() == "" {
		if m.MsgType != message.TypeSlice {
			_, perr := message.Peek(d.Body) // says better what is wrong with it
			err = cmp.Or(perr, fmt.Errorf("msg_type %.40q on the slice queue", m.MsgType))
		}
		p.junk(ctx, d, err)
		return m, err
	}
	if p.cfg.Namespace != "" && m.Namespace != "" && m.Namespace != p.cfg.Namespace {
		p.log.ErrorContext(ctx, "slice of another namespace is left alone", slog.String("namespace", m.Namespace), slog.String("sender", m.Sender))
		return message.Slice{}, errForeign
	}
	// A slice with identity that is otherwise invalid fails in the wrapper, with a result.
	return m, nil
}

// junk counts, and logs once a minute.
func (p *Pilot) junk(ctx context.Context, d *broker.Delivery, err error) {
	p.mu.Lock()
	p.totals.Junk++
	n, say := p.totals.Junk, time.Since(p.junkSaid) > time.Minute
	if say {
		p.junkSaid = time.Now()
	}
	p.mu.Unlock()
	if say {
		e, _ := message.Peek(d.Body)
		p.log.WarnContext(ctx, "junk was acknowledged", slog.Int("count", n), slog.String("destination", d.Destination),
			slog.String("sender", fmt.Sprintf("%.40s", e.Sender)), logging.Err(err))
	}
}

// notItsFault decides whether a failure is none of the slice's: the slot is ending, or the site is at fault. A slice that was
// given back too often for the site's sake is published as failed all the same. Releases within SiteHold count once: a fault
// that is over by then has cost the slice nothing.
func (p *Pilot) notItsFault(ctx context.Context, err error, k JournalKey) bool {
	if ctx.Err() != nil {
		return true
	}
	fate := exitcode.From(err).Fate()
	if fate == exitcode.FateResult && errors.Is(err, payload.ErrNotReady) {
		fate = exitcode.FateRest // the payload's fault, but it never had the slice
	}
	switch fate {
	case exitcode.FateBack:
		return true
	case exitcode.FateRest:
		p.mu.Lock()
		defer p.mu.Unlock()
		r := p.releases[k.Identity]
		if now := time.Now(); r.times == 0 || now.Sub(r.counted) >= p.cfg.SiteHold {
			r.times, r.counted = r.times+1, now
		}
		if r.times < p.cfg.MaxReleases {
			p.releases[k.Identity] = r
			return true
		}
	case exitcode.FateResult:
	}
	return false
}

// selector keeps other namespaces and other runs out. Every property is a string to Artemis: quotes always.
func (p *Pilot) selector(run string) string {
	var parts []string
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	if p.cfg.Namespace != "" {
		parts = append(parts, "namespace="+quote(p.cfg.Namespace))
	}
	if run != "" {
		parts = append(parts, "run_id="+quote(run))
	}
	return strings.Join(parts, " AND ")
}

// NewID names a pilot: host and eight characters that no other has, also not one of the same job before it was requeued.
func NewID(host string) string {
	short, _, _ := strings.Cut(host, ".")
	return "pilot-" + short + "-" + strings.ToLower(rand.Text()[:8])
}
