package heartbeat

import (
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
)

// Reporter tells idds how the pilot is.
type Reporter interface {
	Report(ctx context.Context, w document.WorkerReport) (document.WorkerReply, error)
}

// Heart reports. Make it with New.
type Heart struct {
	to    Reporter
	every time.Duration
	log   *slog.Logger
	soon  chan struct{} // has the next report made at once; holds one
}

// New makes a heart that beats that often. With a nil reporter nobody is told.
func New(to Reporter, every time.Duration, log *slog.Logger) *Heart {
	return &Heart{to: to, every: every, log: log, soon: make(chan struct{}, 1)}
}

// Answer is what came of a report.
type Answer struct {
	// Run is the one that the report named.
	Run  string
	Sent time.Time
	// Reply is zero when there is an error.
	Reply document.WorkerReply
	Err   error
}

// lookEvery is how often it is looked whether idds should hear of a change before the next beat.
const lookEvery = time.Second

// Beat reports what now says until ctx ends, and hands on every answer before the next report.
func (h *Heart) Beat(ctx context.Context, now func() document.WorkerReport, answered func(Answer)) {
	if h.to == nil {
		return
	}
	beat, look := time.NewTicker(h.every), time.NewTicker(min(lookEvery, h.every))
	defer beat.Stop()
	defer look.Stop()
	silent := false
	for {
		w, sent := now(), time.Now()
		reply, err := h.to.Report(ctx, w)
		switch {
		case err == nil && silent:
			h.log.InfoContext(ctx, "idds answers again")
		case err != nil && !silent && ctx.Err() == nil: // once for each outage
			h.log.WarnContext(ctx, "idds does not answer; going on without it", logging.Err(err))
		}
		if silent = err != nil; silent {
			reply = document.WorkerReply{}
		}
		answered(Answer{Run: w.RunID, Sent: sent, Reply: reply, Err: err})
		for due := false; !due; {
			select {
			case <-look.C:
				due = headlineOf(now()) != headlineOf(w)
			case <-beat.C:
				due = true
			case <-h.soon:
				due = true
			case <-ctx.Done():
				return
			}
		}
	}
}

// Soon has the next report made at once.
func (h *Heart) Soon() {
	select {
	case h.soon <- struct{}{}:
	default:
	}
}

// headline is what cannot wait for the next beat. While slices come and go it stays the same, so that pilots at work do not report
// every second.
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
