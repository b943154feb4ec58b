package doctor

import (
	"context"
	"fmt"
	"math"
	"time"

	"tfpilot/internal/message"
)

// duplicates sends a message twice with one id.
func (e *examination) duplicates(ctx context.Context) {
	const name = "duplicate detection"
	if e.unreached(name) {
		return
	}
	a, err := e.listen(ctx, message.TopicTransformer)
	if err != nil {
		e.report.add(name, NotChecked, "", "the broker does not let us subscribe to %s: %s", message.TopicTransformer, words(err))
		return
	}
	defer a.leave(ctx)
	for range 2 {
		if err := e.send(ctx, message.TopicTransformer, message.HeaderDuplicateID, e.probe); err != nil {
			e.report.add(name, NotChecked, "", "the broker does not take a message for %s: %s", message.TopicTransformer, words(err))
			return
		}
	}
	first := a.take(ctx, e.cfg.Limit)
	switch second := a.take(ctx, 3*straggler); {
	case first == nil:
		e.report.add(name, NotChecked, "", "messages to %s do not arrive", message.TopicTransformer)
	case second == nil:
		e.report.add(name, OK, "", "of two messages with one %s one arrives", message.HeaderDuplicateID)
	default:
		e.report.add(name, Warning, "on ActiveMQ Classic nothing: the ledger does not count a second result; on Artemis look at id-cache-size",
			"both of two messages with one %s arrive", message.HeaderDuplicateID)
	}
}

// idCache compares how many ids the broker remembers with how many it has to: accounting says rate x (3 x heart-beat + longest hold).
func (e *examination) idCache(ctx context.Context) {
	const name = "id-cache-size"
	size, from := e.cfg.IDCacheSize, "as --id-cache-size says"
	if e.desk != nil {
		var said int
		if err := e.desk.call(ctx, "broker", "IDCacheSize", nil, &said); err == nil {
			size, from = said, "as the broker says"
		}
	}
	beat := e.cfg.Broker.HeartBeat
	if e.facts == nil || e.facts.PeakRate == 0 {
		e.report.add(name, NotChecked, "", "%d, %s; it has to be at least rate x (3 x %s heart-beat + longest hold), and the store has no results to tell the rate from",
			size, from, beat)
		return
	}
	window := 3*beat + e.facts.LongestHold
	need := int(math.Ceil(e.facts.PeakRate * window.Seconds()))
	text := fmt.Sprintf("%d, %s; needed are %.3g results/s x (3 x %s heart-beat + %s longest hold) = %d",
		size, from, e.facts.PeakRate, beat, e.facts.LongestHold.Round(time.Millisecond), need)
	if need > size {
		e.report.add(name, Warning, fmt.Sprintf("set <id-cache-size> in broker.xml to %d or more", 2*need),
			"%s: a second copy of a result may pass the broker; the ledger does not count it, other consumers do", text)
		return
	}
	e.report.add(name, OK, "", "%s", text)
}
