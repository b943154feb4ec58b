package ledger

import (
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// Queues have no order among each other, so a result, or another's stop_transformer, may be the first that is heard of a run. Such a
// run is kept with all that comes of it, and nothing is done for it: whoever sends results of a hundred thousand runs that there never
// were causes rows, and no work. An announcement, a slice or an end makes it a run like all others, with all that it has. If there is
// none in a time, what is left of its slices fails; one that has no slices is forgotten, the others are a week later.

// unannouncedKept is for how long beyond that a run is kept with its slices, which somebody may miss: when a queue of slices is not
// bound, all that is heard of a run are its results.
const unannouncedKept = 7 * 24 * time.Hour

// OpenRun finds a run that somebody says there is, opening it when new: a slice may come before its run's announcement.
func OpenRun(tx Tx, namespace string, id message.RunID, now time.Time) (*Run, error) {
	r, err := heard(tx, namespace, id, now)
	if err == nil && r.State == document.RunUnannounced {
		r.State, r.Latency = document.RunOpen, nil
		if r.Published == 0 { // nothing has come before that could come twice
			r.HeardAt = time.Time{}
		}
	}
	return r, err
}

// heard finds a run of which something is heard that does not say that there is one.
func heard(tx Tx, namespace string, id message.RunID, now time.Time) (*Run, error) {
	r, err := tx.Run(namespace, id.String())
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &Run{Namespace: namespace, RunID: id, State: document.RunUnannounced, OpenedAt: now, Counts: map[string]int64{}}
	}
	if r.State == document.RunUnannounced {
		r.HeardAt = now
	}
	return r, nil
}

// Stale reports whether there is something to be done about a run that nobody has announced, and of which nothing was heard for a time.
func (r *Run) Stale(after time.Duration, now time.Time) bool {
	silent := now.Sub(r.HeardAt)
	return r.State == document.RunUnannounced && silent > after && (r.Outstanding() > 0 || r.forgotten(silent-after))
}

// forgotten reports whether a run that nobody has announced is to be forgotten so long after its time.
func (r *Run) forgotten(over time.Duration) bool { return r.Published == 0 || over > unannouncedKept }

// Expire ends what is left of a run that is stale: its slices in left fail, or it is forgotten.
func (l Rules) Expire(tx Tx, namespace, runID string, left []Key, after time.Duration, now time.Time) error {
	r, err := tx.Run(namespace, runID)
	if r == nil || err != nil || !r.Stale(after, now) {
		return err
	}
	if r.forgotten(now.Sub(r.HeardAt) - after) {
		return tx.DropRun(r)
	}
	for _, k := range left {
		if err := l.timeout(tx, r, k, now); err != nil {
			return err
		}
	}
	return tx.PutRun(r)
}
