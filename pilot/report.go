package pilot

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
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
		w, sent := p.document(), time.Now()
		reply, err := p.report.Report(ctx, w)
		switch {
		case err == nil:
			if silent {
				p.log.InfoContext(ctx, "idds answers again")
			}
			p.heard(w.RunID, reply)
			switch over := reply.RunState == document.RunClosed; {
			case over && p.next(w.RunID):
			case over:
				stop(errRunOver)
			case reply.Drain:
				stop(errDrain)
			}
		case ctx.Err() == nil && !silent: // once for each outage
			p.log.WarnContext(ctx, "idds does not answer; going on without it", logging.Err(err))
		}
		if silent = err != nil; silent {
			reply.At = time.Time{}
		}
		p.deadline.Compare(reply.At, sent) // also when idds does not answer: then there is nothing to wait for
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
	phase  document.WorkerPhase
	run    string
	proven bool
	inHand int
	held   bool
	idle   document.WorkerTotals // when nothing is in hand
}

func headlineOf(w document.WorkerReport) headline {
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

// heard notes what idds said of a run.
func (p *Pilot) heard(run string, reply document.WorkerReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.kept = time.Now(), reply.Stay
	if run == p.run {
		p.runState = reply.RunState
	}
}

// document is the report of this moment.
func (p *Pilot) document() document.WorkerReport {
	state := p.link.State()
	slot := p.deadline.Document()
	p.mu.Lock()
	defer p.mu.Unlock()
	w := document.WorkerReport{
		PilotID: p.id, Namespace: p.cfg.Namespace, RunID: p.run, Phase: p.phase, At: time.Now().UTC(), StartedAt: p.started.UTC(),
		HeartbeatSeconds: p.cfg.Heartbeat.Seconds(),
		Hostname:         p.host, PID: os.Getpid(), Version: version.String(), Slots: int(p.cfg.Slots),
		BatchSystem: p.cfg.BatchSystem, BatchID: p.cfg.BatchID, WorkerID: p.cfg.WorkerID, Site: p.cfg.Site, Slot: slot, Exit: p.exit, LinkProven: state.Connected, Totals: p.totals,
		SubmittedAt: submittedAt(p.cfg.SubmittedAt), ReadyAt: p.readyAt.UTC(), FirstSliceAt: p.firstSliceAt.UTC(), AnyRun: p.cfg.Run == "",
		InHand: []document.SliceInHand{}, Hold: cmp.Or(p.node.Hold(), p.unready),
	}
	for _, h := range p.inHand {
		w.InHand = append(w.InHand, h.SliceInHand)
	}
	if len(w.InHand) == 0 && p.listening() {
		w.IdleSince = p.idleSince(state).UTC()
	}
	return w
}

// submittedAt is when the harvester submitted the pilot; what is no time is none.
func submittedAt(text string) time.Time {
	at, _ := time.Parse(time.RFC3339, text)
	return at.UTC()
}

// Report is the report of this moment: the last words when Run has returned.
func (p *Pilot) Report() document.WorkerReport { return p.document() }

// LastWord is why a pilot ends that has lived since started, with its accounting.
func LastWord(cause error, w document.WorkerReport) *document.WorkerLastWord {
	f := exitcode.From(cause)
	word := &document.WorkerLastWord{Code: f.Code, Name: f.Name, Class: string(f.Class)}
	if cause != nil {
		word.Cause = logging.Redact(cause.Error())
	}
	life := time.Since(w.StartedAt).Seconds() - w.Totals.SuspendedSeconds
	word.WallSeconds = life
	if w.Slot != nil && w.Slot.Cores > 0 && life > 0 {
		efficiency := w.Totals.CPUSeconds / (float64(w.Slot.Cores) * life)
		word.Efficiency = &efficiency
	}
	return word
}

// lastWord tells why the pilot leaves. The context has ended: a short one of its own bounds it.
func (p *Pilot) lastWord(ctx context.Context, cause error) {
	w := p.document()
	w.Phase, w.Exit = document.WorkerEnded, LastWord(cause, w)
	p.mu.Lock()
	p.phase, p.exit = w.Phase, w.Exit
	p.mu.Unlock()
	attrs := []slog.Attr{
		slog.String("exit", w.Exit.Name), slog.String("reason", w.Exit.Cause), slog.Int("done", w.Totals.Done), slog.Int("failed", w.Totals.Failed),
		slog.Int("given_back", w.Totals.Released), slog.Float64("wall_s", round(w.Exit.WallSeconds)), slog.Float64("payload_cpu_s", round(w.Totals.CPUSeconds)),
		slog.Int64("peak_memory_mb", w.Totals.PeakMemoryBytes>>20),
	}
	if w.Totals.Startups > 0 {
		attrs = append(attrs, slog.Int("payload_startups", w.Totals.Startups), slog.Float64("payload_startup_s", round(w.Totals.StartupSeconds)))
	}
	if w.Exit.Efficiency != nil {
		attrs = append(attrs, slog.String("efficiency", fmt.Sprintf("%.0f %%", 100**w.Exit.Efficiency)))
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "pilot left", attrs...)
	if p.report == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := p.report.Report(ctx, w); err != nil {
		p.log.WarnContext(ctx, "the last word did not reach idds", logging.Err(err))
	}
}

// round keeps milliseconds.
func round(seconds float64) float64 { return math.Round(1000*seconds) / 1000 }
