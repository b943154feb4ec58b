package scaler

import (
	"time"

	"tfpilot/internal/document"
)

// backlog is when slices of a run waited for workers.
type backlog struct {
	spans []span
	waits bool // in the last of them, still
}

type span struct{ from, to time.Time }

// spansKept bounds them: a worker that was ready before that is seldom asked about.
const spansKept = 100

// note says whether slices wait now.
func (b *backlog) note(waits bool, now time.Time) {
	if b.waits {
		b.spans[len(b.spans)-1].to = now
	}
	if waits && !b.waits {
		if b.spans = append(b.spans, span{now, now}); len(b.spans) > spansKept {
			b.spans = b.spans[1:]
		}
	}
	b.waits = waits
}

// within is for how long slices waited from one time to another.
func (b *backlog) within(from, to time.Time) (long time.Duration) {
	for _, s := range b.spans {
		long += max(0, earlier(s.to, to).Sub(later(s.from, from)))
	}
	return long
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// startedIn is what a worker took from its submission to its first slice, and whether that is known. Time in which it was ready and no slice
// waited is none of its start; who is ready while none waits has started. Three clocks tell of it: the harvester's, the node's, ours.
func (b *backlog) startedIn(w *document.Worker, now time.Time) (took time.Duration, known bool) {
	if w.SubmittedAt.IsZero() || w.ReadyAt.IsZero() {
		return 0, false
	}
	until := w.FirstSliceAt
	if until.IsZero() {
		if b.waits {
			return 0, false
		}
		until = now
	}
	took = w.ReadyAt.Sub(w.SubmittedAt) + b.within(w.ReadyAt, until)
	return took, took > 0 && took < longestStart
}

// longestStart is beyond any: clocks differ by more than they should.
const longestStart = 24 * time.Hour
