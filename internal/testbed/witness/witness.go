package witness

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// witnessed is the fan-out queue of results that every broker has and none of our programs reads here: daq does not wait for
// results.
const witnessed = message.QueueResultsFast

// Witness sees the results of all runs as a consumer of a fan-out queue does, on a link of its own that nobody breaks, and
// hears of those that pilots send.
type Witness struct {
	link                        *broker.Link
	namespace, foreignNamespace string // ours, and that of the slices which nobody here may work on

	mu      sync.Mutex
	known   map[string]struct{} // messages that were counted
	runs    map[string]*testimony
	foreign int // results of a slice that is not the namespace's
	changed chan struct{}

	ears sync.WaitGroup
}

// testimony is what was seen of a run.
type testimony struct {
	results int                    // of any kind that came
	came    map[string][]time.Time // identity -> results with state done
	sent    map[string][]time.Time // the same, on their way to the broker
}

// New makes a witness of the results of a namespace, and of another one of which there must be none. Run owns its goroutine.
func New(link *broker.Link, namespace, foreign string) *Witness {
	return &Witness{
		link: link, namespace: namespace, foreignNamespace: foreign, known: map[string]struct{}{}, runs: map[string]*testimony{},
		changed: make(chan struct{}),
	}
}

// Run watches until ctx ends.
func (w *Witness) Run(ctx context.Context) error {
	results := w.link.Subscribe(stomp.SubscribeOptions{
		Destination: witnessed, Window: 1 << 20, Selector: fmt.Sprintf("namespace='%s' OR namespace='%s'", w.namespace, w.foreignNamespace),
	})
	for ctx.Err() == nil {
		d, err := results.Next(ctx)
		if err == nil {
			w.see(d)
			err = d.Ack(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, broker.ErrStale) && !errors.Is(err, stomp.ErrClosed) {
			return err
		}
	}
	return nil
}

// see counts a result, once for each message that the broker has: one that was not acknowledged comes again.
func (w *Witness) see(d *broker.Delivery) {
	m, err := message.Decode[message.SliceResult](d.Body)
	if err != nil {
		return // not for us to judge
	}
	// The last part of the id is the message's on every broker; the rest, where there is any, the subscription's.
	id := d.ID[strings.LastIndexByte(d.ID, ',')+1:] + " " + d.Header.Get("timestamp")
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, again := w.known[id]; again {
		return
	}
	w.known[id] = struct{}{}
	if m.Namespace != w.namespace {
		w.foreign++
		return
	}
	t := w.of(m.RunID.String())
	t.results++
	if m.Content.State == message.StateDone {
		t.came[m.Identity()] = append(t.came[m.Identity()], time.Now())
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// hear notes a result that is on its way to the broker.
func (w *Witness) hear(body []byte, at time.Time) {
	m, err := message.Decode[message.SliceResult](body)
	if err != nil || m.Content.State != message.StateDone {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.of(m.RunID.String())
	t.sent[m.Identity()] = append(t.sent[m.Identity()], at)
}

// of is what is known of a run; with mu held.
func (w *Witness) of(run string) *testimony {
	t := w.runs[run]
	if t == nil {
		t = &testimony{came: map[string][]time.Time{}, sent: map[string][]time.Time{}}
		w.runs[run] = t
	}
	return t
}

// Seen is how many results of a run there were.
func (w *Witness) Seen(run string) (n int, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of(run).results, w.changed
}

// Await waits until there were at least n results of a run and returns when that was.
func (w *Witness) Await(ctx context.Context, run string, n int) (time.Time, error) {
	return w.await(ctx, func() bool { return w.of(run).results >= n })
}

// AwaitDone waits until at least n slices of a run have a done result.
func (w *Witness) AwaitDone(ctx context.Context, run string, n int) error {
	_, err := w.await(ctx, func() bool { return len(w.of(run).came) >= n })
	return err
}

// await waits for something that is looked at with mu held.
func (w *Witness) await(ctx context.Context, is func() bool) (time.Time, error) {
	for {
		w.mu.Lock()
		ok, changed := is(), w.changed
		w.mu.Unlock()
		if ok {
			return time.Now(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

// Verdict is what was seen of the done results of a run.
type Verdict struct {
	// Slices is how many have one, Copies how many more came.
	Slices, Copies int
	// Absorbed is how many were sent to the broker for a slice of which one had come, and never came.
	Absorbed int
}

// Verdict says what was seen of a run.
func (w *Witness) Verdict(run string) Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	var v Verdict
	t := w.of(run)
	for id, came := range t.came {
		v.Slices++
		v.Copies += len(came) - 1
		late := 1 - len(came)
		for _, at := range t.sent[id] {
			if at.After(came[0]) {
				late++
			}
		}
		v.Absorbed += max(0, late)
	}
	return v
}

// Foreign is how many results there were of slices that are somebody else's.
func (w *Witness) Foreign() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.foreign
}
