package heartbeat

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// LastWord is why a pilot ends whose last report is w, with its accounting.
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

// lastTime bounds the last report: nobody is to wait for idds at the end.
const lastTime = 2 * time.Second

// Last reports once more, also when ctx has ended: a short one of its own bounds it.
func (h *Heart) Last(ctx context.Context, w document.WorkerReport) {
	if h.to == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if _, err := h.to.Report(ctx, w); err != nil {
		h.log.WarnContext(ctx, "the last word did not reach idds", logging.Err(err))
	}
}
