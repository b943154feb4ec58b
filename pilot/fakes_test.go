package pilot_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// runner is a payload made of a function. Its calls are counted by slice.
type runner struct {
	do func(ctx context.Context, s message.Slice) error
	// took is how long every payload took longer than it did.
	took time.Duration
	// signal ends every payload, as far as the pilot sees.
	signal string
	// usage is what every payload took; nil for nothing.
	usage func(s message.Slice) payload.Usage
	// result and delivery are those of every slice.
	result   payload.Result
	delivery wrapper.Delivery
	// prepare makes a slot ready; nil for nothing to do.
	prepare func(ctx context.Context, slot int) (payload.Startup, error)

	// prefetched counts the slices whose input was to be fetched.
	prefetched atomic.Int32

	mu    sync.Mutex
	calls map[string]int
}

func (w *runner) Prefetch(context.Context, message.Slice) { w.prefetched.Add(1) }

func (w *runner) Prepare(ctx context.Context, slot int) (payload.Startup, error) {
	if w.prepare == nil {
		return payload.Startup{}, nil
	}
	return w.prepare(ctx, slot)
}

func (w *runner) Run(ctx context.Context, s message.Slice) wrapper.Outcome {
	w.mu.Lock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[s.Content.Identity()]++
	w.mu.Unlock()
	o := wrapper.Outcome{Started: time.Now().Add(-w.took), Payload: w.Identity(), Cores: 4, Result: w.result, Delivery: w.delivery}
	if w.usage != nil {
		o.Result.Usage = w.usage(s)
	}
	if w.do != nil {
		o.Err = w.do(ctx, s)
	}
	o.Ended = time.Now()
	o.Result.Usage.Signal = w.signal
	return o
}

func (w *runner) Identity() message.PayloadIdentity {
	return message.PayloadIdentity{Name: "function", Version: "3"}
}

func (w *runner) count(identity string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[identity]
}

// reporter is idds as a pilot sees it.
type reporter struct {
	mu      sync.Mutex
	reply   document.WorkerReply
	over    string        // a run that is closed
	hold    chan struct{} // nobody is answered before it is closed
	err     error
	reports []document.WorkerReport
}

func (r *reporter) Report(ctx context.Context, w document.WorkerReport) (document.WorkerReply, error) {
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, w)
	reply := r.reply
	if r.over != "" && w.RunID == r.over {
		reply.RunState = document.RunClosed
	}
	return reply, r.err
}

func (r *reporter) answer(state document.RunState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply.RunState = state
}

// close says from now on that a run is closed.
func (r *reporter) close(run string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = run
}

func (r *reporter) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *reporter) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.reports)
}

func (r *reporter) first() document.WorkerReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reports[0]
}

func (r *reporter) last() document.WorkerReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reports) == 0 {
		return document.WorkerReport{}
	}
	return r.reports[len(r.reports)-1]
}
