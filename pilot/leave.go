package pilot

import (
	"context"
	"fmt"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// listen waits for stop_transformer of our run. It is a topic: a stop sent while we are away is lost, which is why idds is
// asked as well.
func (p *Pilot) listen(ctx context.Context) {
	c := p.subscribeBroadcast()
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	for {
		d, err := c.Next(ctx)
		if err != nil {
			return
		}
		m, err := message.Decode[message.StopTransformer](d.Body)
		if err != nil {
			continue // something else on the topic
		}
		p.mu.Lock()
		if m.RunID.String() == p.run && p.stopped.IsZero() {
			p.stopped = time.Now()
			p.heart.Soon() // idds may say that the run is closed: then there is nothing to wait for
		}
		p.mu.Unlock()
	}
}

func (p *Pilot) subscribeBroadcast() *broker.Consumer {
	return p.link.Subscribe(stomp.SubscribeOptions{Destination: p.to.Broadcast, Selector: p.selector(""), Ack: "auto"})
}

// lookForEnd is how often the pilot looks whether it should leave.
const lookForEnd = 100 * time.Millisecond

// watchIdle ends the taking when nothing comes any more. It looks once again after the broker's answer: what the broker has sent
// before that is in hand by then.
func (p *Pilot) watchIdle(ctx context.Context, stop context.CancelCauseFunc) {
	t := time.NewTicker(lookForEnd)
	defer t.Stop()
	proven := false
	for {
		select {
		case <-t.C:
			run := p.runNumber() // another one may be served when idle has looked
			cause := p.idle(time.Now())
			if cause != nil && proven {
				if cause != errRunOver || !p.next(run) { //nolint:errorlint // that very one
					stop(cause)
					return
				}
				cause = nil
			}
			proven = cause != nil && p.prove(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// idle is the reason to leave for want of slices, nil while there is none.
func (p *Pilot) idle(now time.Time) error {
	p.awake(now)
	state := p.link.State()
	var stays error
	defer func() { // without p.mu
		if stays != nil {
			p.log.Info("pilot stays, for idds says that the run goes on", logging.Err(stays))
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.inHand) > 0 || !state.Connected {
		return nil // busy, or nothing can come: that is not idleness
	}
	quiet := now.Sub(p.idleSince(state))
	switch {
	case !p.stopped.IsZero() && quiet > p.stopQuiet():
		return errRunOver
	case !p.listening():
		return nil
	case p.stays(now) && p.run == "":
		return nil // it waits for the next run
	case p.hears(now) && (p.runState == document.RunOpen || p.runState == document.RunEnding):
		if cause := p.tooQuiet(quiet); cause != nil && !p.staySaid { // idds knows better
			stays, p.staySaid = cause, true
		}
		return nil
	}
	return p.tooQuiet(quiet)
}

// tooQuiet is which idle time has passed, nil while none has. The caller holds p.mu.
func (p *Pilot) tooQuiet(quiet time.Duration) error {
	switch {
	case p.hadSlice && quiet > p.cfg.IdleTimeout:
		return exitcode.New(exitcode.IdleTimeout, "no slice for %s", p.cfg.IdleTimeout)
	case !p.hadSlice && quiet > p.cfg.FirstSliceTimeout:
		return exitcode.New(exitcode.NoFirstSlice, "no slice at all in %s", p.cfg.FirstSliceTimeout)
	}
	return nil
}

// stopSettle is how long nothing must have come for a pilot to count as idle when the stop message comes.
const stopSettle = 500 * time.Millisecond

// stopQuiet is how long after the stop message no slice may come. For a pilot at work it is StopQuiet: there were slices a moment
// ago, and others may give theirs back. A pilot that was idle when the message came, and has been since, has a window open for
// whatever is in the queue: it would have it by the time at which the broker answers (watchIdle asks), so it need not wait. The
// caller holds p.mu.
func (p *Pilot) stopQuiet() time.Duration {
	if p.listening() && !p.last.After(p.stopped) {
		return min(p.cfg.StopQuiet, stopSettle)
	}
	return p.cfg.StopQuiet
}

// listening says that some slot is subscribed, so that a slice could come. The caller holds p.mu.
func (p *Pilot) listening() bool {
	return p.phase != document.WorkerStarting && p.rests < int(p.cfg.Slots)
}

// idleSince is since when a slice could have come and none did: no sooner than this connection. The caller holds p.mu.
func (p *Pilot) idleSince(state broker.State) time.Time {
	if state.Connected && state.Since.After(p.last) {
		return state.Since
	}
	return p.last
}

// prove has the broker answer. A link that has died without a word looks like one on which nothing comes, until its heart-beats
// are missed: whoever left then would leave slices waiting. It ends when the broker answers, or the link is lost.
func (p *Pilot) prove(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := p.link.Changed()
	before := p.link.State()
	if !before.Connected {
		return false
	}
	c := p.subscribeBroadcast()
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	select {
	case <-c.Ready():
		return p.link.State().Generation == before.Generation
	case <-changed:
		return false
	case <-ctx.Done():
		return false
	}
}

// watchBroker abandons what is left to do when there has been no broker for the time that it is waited for. A payload under way
// is let finish: its result goes into the journal, and has the same time then.
func (p *Pilot) watchBroker(ctx context.Context, abandon func(error)) {
	if p.cfg.BrokerTimeout == 0 {
		return
	}
	t := time.NewTicker(lookForEnd)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if cause := p.cutOff(time.Now()); cause != nil {
				abandon(cause)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// cutOff is the reason to leave for want of a broker, nil while there is none.
func (p *Pilot) cutOff(now time.Time) error {
	p.awake(now)
	state := p.link.State()
	if state.Connected {
		return nil
	}
	since, held := state.Since, 0
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed.After(since) {
		since = p.resumed
	}
	for _, h := range p.inHand {
		if h.result.IsZero() {
			return nil // a payload works on it
		}
		held++
		if h.result.After(since) {
			since = h.result
		}
	}
	if now.Sub(since) < p.cfg.BrokerTimeout {
		return nil
	}
	text := fmt.Sprintf("no broker for %s", p.cfg.BrokerTimeout)
	if held > 0 {
		text += fmt.Sprintf(" (results kept in the journal: %d)", held)
	}
	if state.Err == nil {
		return exitcode.New(exitcode.NoBroker, "%s", text)
	}
	return exitcode.New(exitcode.From(state.Err), "%s: %w", text, state.Err)
}
