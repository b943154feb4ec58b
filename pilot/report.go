package pilot

import (
	"context"
	"os"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/version"
)

// lookEvery is how often the pilot looks whether idds should hear of a change before the next heart-beat.
const lookEvery = time.Second

// reportAll reports at once, with every heart-beat, and soon after a change that a person who looks would miss; it reads from
// the answers whether to leave.
func (p *Pilot) reportAll(ctx context.Context, stop context.CancelCauseFunc) {
	if p.report == nil {
		return
	}
	beat, look := time.NewTicker(p.cfg.Heartbeat), time.NewTicker(min(lookEvery, p.cfg.Heartbeat))
	defer beat.Stop()
	defer look.Stop()
	silent := false
	for {
		w := p.document()
		reply, err := p.report.Report(ctx, w)
		switch {
		case err == nil:
			if silent {
				p.log.InfoContext(ctx, "idds answers again")
			}
			p.heard(reply)
			if reply.RunState == message.RunClosed {
				stop(errRunOver)
			} else if reply.Drain {
				stop(errDrain)
			}
		case ctx.Err() == nil && !silent: // once for each outage
			p.log.WarnContext(ctx, "idds does not answer; going on without it", logging.Err(err))
		}
		silent = err != nil
		for due := false; !due; {
			select {
			case <-look.C:
				due = headlineOf(p.document()) != headlineOf(w)
			case <-beat.C:
				due = true
			case <-p.wake:
				due = true
			case <-ctx.Done():
				return
			}
		}
	}
}

// headline is what cannot wait for the next heart-beat. While slices come and go it stays the same, so that pilots at work do
// not report every second.
type headline struct {
	phase  message.WorkerPhase
	run    string
	proven bool
	inHand int
	held   bool
	idle   message.WorkerTotals // when nothing is in hand
}

func headlineOf(w message.WorkerReport) headline {
	h := headline{phase: w.Phase, run: w.RunID, proven: w.LinkProven, inHand: len(w.InHand), held: w.Hold != ""}
	if h.inHand == 0 {
		h.idle = w.Totals
	}
	return h
}

// tellSoon has the next report made at once.
func (p *Pilot) tellSoon() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Pilot) heard(reply message.WorkerReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runState, p.asked = reply.RunState, time.Now()
}

// document is the report of this moment.
func (p *Pilot) document() message.WorkerReport {
	state := p.link.State()
	p.mu.Lock()
	defer p.mu.Unlock()
	w := message.WorkerReport{
		PilotID: p.id, Namespace: p.cfg.Namespace, RunID: p.run, Phase: p.phase, At: time.Now().UTC(), StartedAt: p.started.UTC(),
		HeartbeatSeconds: p.cfg.Heartbeat.Seconds(),
		Hostname:         p.host, PID: os.Getpid(), Version: version.String(), Slots: p.cfg.Slots,
		BatchSystem: p.cfg.BatchSystem, BatchID: p.cfg.BatchID, LinkProven: state.Connected, Totals: p.totals,
		InHand: []message.SliceInHand{}, Hold: p.fit.hold,
	}
	for _, h := range p.inHand {
		w.InHand = append(w.InHand, h.SliceInHand)
	}
	if len(w.InHand) == 0 && p.listening() {
		w.IdleSince = p.idleSince(state).UTC()
	}
	return w
}

// lastWord tells why the pilot leaves. The context has ended: a short one of its own bounds it.
func (p *Pilot) lastWord(ctx context.Context, cause error) {
	if p.report == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	f := exitcode.From(cause)
	w := p.document()
	w.Phase = message.WorkerEnded
	w.Exit = &message.WorkerLastWord{Code: f.Code, Name: f.Name, Class: string(f.Class), Cause: cause.Error()}
	if _, err := p.report.Report(ctx, w); err != nil {
		p.log.WarnContext(ctx, "the last word did not reach idds", logging.Err(err))
	}
}
