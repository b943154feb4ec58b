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
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/version"
)

// answered reads from an answer of idds whether to leave.
func (p *Pilot) answered(a heartbeat.Answer, stop context.CancelCauseFunc) {
	if a.Err == nil {
		p.heard(a.Run, a.Reply)
		switch over := a.Reply.RunState == document.RunClosed; {
		case over && p.next(a.Run):
		case over:
			stop(errRunOver)
		case a.Reply.Drain:
			stop(errDrain)
		}
	}
	p.deadline.Compare(a.Reply.At, a.Sent) // also when idds does not answer: then there is nothing to wait for
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

// Report is the report of this moment: the last words when Run has returned.
func (p *Pilot) Report() document.WorkerReport {
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

// lastWord tells why the pilot leaves.
func (p *Pilot) lastWord(ctx context.Context, cause error) {
	w := p.Report()
	w.Phase, w.Exit = document.WorkerEnded, heartbeat.LastWord(cause, w)
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
	p.heart.Last(ctx, w)
}

// round keeps milliseconds.
func round(seconds float64) float64 { return math.Round(1000*seconds) / 1000 }
