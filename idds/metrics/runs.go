package metrics

import (
	"time"

	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// figures are what is told of a run, or of several.
type figures struct {
	id     string
	number uint64 // of the transaction that said so
	state  document.RunState
	opened time.Time

	published, done, failed, retried, absorbed, corrected, unmatched, unexplained, unmerged int

	running int // in the hand of workers; of sums alone
}

func figuresOf(r *ledger.Run) figures {
	return figures{
		id: r.RunID.String(), state: r.State, opened: r.OpenedAt,
		published: r.Published, done: r.Done, failed: r.Failed, retried: r.Retried, absorbed: r.Absorbed, corrected: r.Corrected,
		unmatched: r.Unmatched, unexplained: r.Unexplained, unmerged: r.Unmerged,
	}
}

func (f figures) outstanding() int { return f.published - f.done - f.failed }

// add adds the numbers of another, as many times.
func (f *figures) add(o figures, times int) {
	f.published, f.done, f.failed = f.published+times*o.published, f.done+times*o.done, f.failed+times*o.failed
	f.retried, f.absorbed, f.corrected = f.retried+times*o.retried, f.absorbed+times*o.absorbed, f.corrected+times*o.corrected
	f.unmatched, f.unexplained, f.unmerged = f.unmatched+times*o.unmatched, f.unexplained+times*o.unexplained, f.unmerged+times*o.unmerged
}

const (
	// manyRuns is how many are kept before those are forgotten that are over.
	manyRuns = 1000
	// settled is after how many transactions nothing older is heard any more.
	settled = 1000
)

// runs are the sums over all runs, and what is told of each of those that go on: of the others, of which there are any number, nothing
// is kept.
type runs struct {
	sum    figures
	states map[document.RunState]int
	going  map[string]figures
	most   int
}

func newRuns() runs {
	return runs{states: map[document.RunState]int{}, going: map[string]figures{}, most: manyRuns}
}

// hear adds what a transaction has changed. Transactions are not heard in their order, which sums do not need.
func (r *runs) hear(number uint64, c *commits.RunChange) {
	was, is := figuresOf(&c.Was), figuresOf(&c.Run)
	if was.state != "" {
		r.states[was.state]--
	}
	if c.Dropped { // what was counted of it stays counted
		return
	}
	r.states[is.state]++
	r.sum.add(was, -1)
	r.sum.add(is, 1)
	is.number = number
	if known, there := r.going[is.id]; there && known.number > number || !there && is.over() {
		return
	}
	if r.going[is.id] = is; len(r.going) > r.most {
		r.forget(number)
	}
}

// over reports whether nothing is told of a run by itself.
func (f figures) over() bool {
	return f.state == document.RunClosed || f.state == document.RunUnannounced
}

// forget drops those that are over and of which nothing older will be heard.
func (r *runs) forget(number uint64) {
	for id, f := range r.going {
		if f.over() && f.number+settled < number {
			delete(r.going, id)
		}
	}
	r.most = max(manyRuns, 2*len(r.going))
}

// open are those that are not over.
func (r *runs) open() (out []figures) {
	for _, f := range r.going {
		if !f.over() {
			out = append(out, f)
		}
	}
	return out
}
