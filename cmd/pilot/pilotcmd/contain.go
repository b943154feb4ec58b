package pilotcmd

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/document"
	"tfpilot/pilot/slotinfo"
	"tfpilot/wrapper"
)

// contain tries, before a slice is taken, what holds a payload's processes together, and says so: in the log, and in the reports
// as a fact of the slot.
func contain(ctx context.Context, work *wrapper.Wrapper, slot *slotinfo.Slot, log *slog.Logger) error {
	used, why, err := work.Containment(ctx)
	if err != nil || used == "" {
		return err
	}
	slot.Add(document.SlotFact{Name: "containment", Value: string(used), Source: cmp.Or(why, "tried on this node"), Counts: true})
	attrs := []slog.Attr{slog.String("containment", string(used))}
	if why != "" {
		attrs = append(attrs, slog.String("reason", why))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "payloads are contained", attrs...)
	inside, why, err := work.Container(ctx)
	if err != nil || inside == "" {
		return err
	}
	slot.Add(document.SlotFact{Name: "container", Value: inside, Source: cmp.Or(why, "tried on this node"), Counts: true})
	log.LogAttrs(ctx, slog.LevelInfo, "payloads run in a container", slog.String("container", inside), slog.String("reason", why))
	return nil
}

// closeLimit is how long what stays of payloads between slices may take to end when nobody waits for the slot.
const closeLimit = 15 * time.Second

// closePayload ends what is kept for payloads between slices. After a signal it has the given time, when that is not 0: less than the
// batch system leaves. Nothing of it outlives us anyway.
func closePayload(ctx context.Context, work *wrapper.Wrapper, afterSignal time.Duration) {
	limit := closeLimit
	if ctx.Err() != nil && afterSignal > 0 {
		limit = min(limit, afterSignal)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	_ = work.Close(ctx)
}
