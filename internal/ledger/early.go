package ledger

import (
	"errors"
	"slices"
	"time"

	"tfpilot/internal/message"
)

// Two queues have no order: a result may come before the copy of its slice. One with an identity makes its slice. A nameless
// one, a peer's failure, says only when it was asked for; it is kept until a slice with that created_at comes.

// maxEarly is how many are kept of a run: more of them do not fit because their slices never come.
const maxEarly = 256

// keep remembers a nameless failure that fits nothing yet.
func (r *Run) keep(m message.SliceResult) {
	if m.Content.State == message.StateDone || m.Content.RequestedAt.Time().IsZero() {
		return // no peer sends a good result without its slice
	}
	if text := m.Content.Result.Error; text != nil && len(*text) > maxReason {
		short := message.Cut(*text, maxReason)
		m.Content.Result.Error = &short
	}
	if len(r.Early) >= maxEarly {
		r.Early = slices.Delete(r.Early, 0, 1)
	}
	r.Early = append(r.Early, m)
}

// early gives an attempt that has just become known the failures that were there before it. What is ambiguous stays unmatched.
func (l Rules) early(tx Tx, r *Run, at, now time.Time) error {
	fits := func(m message.SliceResult) bool { return m.Content.RequestedAt.Time().Equal(at) }
	var found []message.SliceResult
	for _, m := range r.Early {
		if fits(m) {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil
	}
	r.Early = slices.DeleteFunc(r.Early, fits)
	r.Unmatched -= len(found)
	err := tx.PutRun(r)
	for _, m := range found {
		err = errors.Join(err, l.Result(tx, m, now))
	}
	return err
}
