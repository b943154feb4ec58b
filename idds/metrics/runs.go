package metrics

import (
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// figures are what is kept of a run.
type figures struct {
	id     string
	number uint64 // of the transaction that said so
	state  document.RunState
	opened time.Time

	published, done, failed, retried, absorbed, corrected, unmatched, unexplained, unmerged int

	running int // in the hand of workers; of sums alone
}

// seeRun notes a run, unless a later transaction has said more of it.
func (m *Metrics) seeRun(number uint64, r *ledger.Run) {
	id := r.RunID.String()
	if m.runs[id].number > number {
		return
	}
	m.runs[id] = figures{
		id: id, number: number, state: r.State, opened: r.OpenedAt,
		published: r.Published, done: r.Done, failed: r.Failed, retried: r.Retried, absorbed: r.Absorbed, corrected: r.Corrected,
		unmatched: r.Unmatched, unexplained: r.Unexplained, unmerged: r.Unmerged,
	}
}

func (f figures) outstanding() int { return f.published - f.done - f.failed }
