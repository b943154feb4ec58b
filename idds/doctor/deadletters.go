package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

const (
	// lookWindow is how many bytes of dead letters are looked at.
	lookWindow = 4 << 20
	// quiet is how long nothing has to come before all are seen.
	quiet = 300 * time.Millisecond
)

// deadLetters counts what the broker gave up. Nothing is taken: what is ours is the service's to take, the rest is others'.
func (e *examination) deadLetters(ctx context.Context) {
	for _, address := range e.cfg.Service.DeadLetters {
		name := "dead letters in " + address
		if e.unreached(name) {
			continue
		}
		if e.classic() && !strings.HasPrefix(address, "/queue/") {
			e.report.add(name, NotChecked, "", "ActiveMQ Classic has its dead letters in /queue/ActiveMQ.DLQ; they do not say where they died, so idds takes none")
			continue
		}
		a, err := e.hear(ctx, address, "", lookWindow)
		if err != nil {
			e.report.add(name, NotChecked, "", "the broker does not let us subscribe: %s", words(err))
			continue
		}
		e.sort(name, e.letters(ctx, a))
		a.leave(ctx) // gives all back, uncounted on Artemis
	}
}

// letters looks at what lies in a queue, for a bounded time.
func (e *examination) letters(ctx context.Context, a *ear) (found []*stomp.Message) {
	for deadline := time.Now().Add(e.cfg.Limit); time.Now().Before(deadline); {
		m := a.next(ctx, quiet)
		if m == nil {
			break
		}
		found = append(found, m)
	}
	return found
}

// sort reports dead letters by where they died and whose they are.
func (e *examination) sort(name string, found []*stomp.Message) {
	ns := e.cfg.Service.Namespace
	counts := map[string]int{}
	var resent, copies, others int
	for _, m := range found {
		queue := cmp.Or(m.Header.Get(message.HeaderOriginalQueue), "a queue that it does not name")
		whose := m.Header.Get("namespace")
		counts[fmt.Sprintf("of %s from %s", cmp.Or(whose, "no namespace"), queue)]++
		switch {
		case whose != ns:
			others++
		case queue == message.QueueSlicesWorkers:
			resent++
		case queue == message.QueueSlicesIDDS || queue == message.QueueResultsIDDS:
			copies++
		}
	}
	if len(found) == 0 {
		e.report.add(name, OK, "", "none")
		return
	}
	var said []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		said = append(said, fmt.Sprintf("%d %s", counts[key], key))
	}
	text := strings.Replace(list(said), "; and more", "; and of more", 1)
	switch {
	case copies > 0:
		e.report.add(name, Warning, "look at idds' log for what it could not store; send them to their queue again with the broker's tools", "%s: what idds should have counted died", text)
	case resent > 0 && !e.live.Locked:
		e.report.add(name, Warning, "start idds: it takes the slices of "+ns+" and sends them again", "%s", text)
	default:
		e.report.add(name, OK, "", "%s; left where they are", text)
	}
}
