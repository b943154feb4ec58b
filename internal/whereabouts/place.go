package whereabouts

import (
	"fmt"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// Why an attempt was given up.
const (
	ReasonDead   = "the broker gave it up: died or expired"
	ReasonUnheld = "no worker reports to hold it"
)

// AskWorkers reports whether what workers hold says anything of slices: whether an attempt of one is under way.
func AskWorkers(list []ledger.Slice) bool {
	return slices.ContainsFunc(list, func(sl ledger.Slice) bool { return sl.State == ledger.Outstanding })
}

// Records are slices as the world sees them, each with the place where it is: with one of the workers, or what it waits for, and
// whose duty that is.
func Records(list []ledger.Slice, workers []document.Worker, retryOwner string) []document.Slice {
	out := make([]document.Slice, 0, len(list))
	held := holders{}
	for i := range workers {
		held.add(&workers[i])
	}
	for i := range list {
		sl := &list[i]
		r := document.Slice{
			Identity: sl.Key.Identity, Namespace: sl.Key.Namespace, RunID: sl.Key.Run, Filename: sl.Filename, TFFilename: sl.TFFilename,
			SliceID: sl.SliceID, Start: sl.Start, End: sl.End, State: string(sl.State), Attempt: sl.Latest(), CreatedAt: sl.CreatedAt,
			FinishedAt: sl.FinishedAt, Failure: sl.Failure, Attempts: sl.Attempts,
		}
		switch sl.State {
		case ledger.Waiting:
			r.Place, r.Where = waits(sl, retryOwner)
		case ledger.Outstanding:
			r.Place, r.Where = held.find(sl)
		case ledger.Done, ledger.Failed:
		}
		out = append(out, r)
	}
	return out
}

// waits says what a slice waits for that has no attempt under way.
func waits(sl *ledger.Slice, retryOwner string) (place document.Place, where string) {
	last := sl.Attempts[len(sl.Attempts)-1]
	place, why := document.PlaceWaiting, "ended as "+last.State
	switch {
	case last.Reason == ReasonDead && last.State == "lost":
		place, why = document.PlaceDeadLetter, "was found among the dead letters"
	case last.State == "lost":
		why = "was lost: " + last.Reason
	case last.Failure != nil && last.Hostname != "":
		why = "failed on " + last.Hostname + ": " + last.Failure.Name
	case last.Failure != nil:
		why = "failed: " + last.Failure.Name
	}
	next := fmt.Sprintf("attempt %d at %s", last.Attempt+1, sl.RetryAt.Format(time.TimeOnly))
	switch {
	case retryOwner == ledger.Other:
		next = fmt.Sprintf("attempt %d, which another program has to send (--retry-owner other)", last.Attempt+1)
	case len(sl.Message) == 0:
		next = "its message, without which it cannot be sent again: only results of it have come"
	}
	return place, fmt.Sprintf("waits for %s; attempt %d %s", next, last.Attempt, why)
}

// holder is a worker that reports, or reported last, to hold an attempt.
type holder struct {
	worker *document.Worker
	since  time.Time
}

// heldKey names an attempt in any namespace.
type heldKey struct {
	namespace string
	attemptKey
}

type holders map[heldKey]holder

// add notes what a worker has in hand. Of two, the one that lives has it.
func (h holders) add(w *document.Worker) {
	if w.Phase == document.WorkerEnded {
		return
	}
	for _, in := range w.InHand {
		k := heldKey{w.Namespace, inHand(in)}
		if other, ok := h[k]; !ok || w.Alive && !other.worker.Alive {
			h[k] = holder{w, in.Since}
		}
	}
}

// find says where a slice is of which an attempt is under way.
func (h holders) find(sl *ledger.Slice) (place document.Place, where string) {
	place, where = document.PlaceQueue, "on the queue, or with a worker that reports nothing to idds"
	if sl.Unsent != 0 {
		place, where = document.PlaceUnsent, fmt.Sprintf("attempt %d is decided on; the broker has not confirmed it", sl.Unsent)
	}
	for _, a := range sl.Attempts {
		by, ok := h[heldKey{sl.Key.Namespace, attemptKey{sl.Key.Run, sl.Key.Identity, a.Attempt}}]
		switch {
		case !ok || a.State != "sent":
		case by.worker.Alive:
			return document.PlaceHeld, fmt.Sprintf("held by %s on %s since %s", by.worker.PilotID, by.worker.Hostname, by.since.UTC().Format(time.TimeOnly))
		default:
			place = document.PlaceSilent
			where = fmt.Sprintf("held by %s on %s when it fell silent at %s; on the queue again when the broker has noticed",
				by.worker.PilotID, by.worker.Hostname, by.worker.LastSeen.UTC().Format(time.TimeOnly))
		}
	}
	return place, where
}
