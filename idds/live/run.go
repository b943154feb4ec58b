package live

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// run is a run as it is on a board, and what only we remember of it.
type run struct {
	ledger.Run

	// number is of the transaction that left it so.
	number uint64
	// times are those of its results. Of the ones that were counted up to since, and of their files, the store is asked once: whole
	// says that it was, or that there are none.
	times *history
	since time.Time
	whole bool
	// files are its super time frames, as the hashes of their names.
	files map[uint64]struct{}
	// over is the history as it is shown, nil when it has changed.
	over []document.BoardLatency
	// picturesAt grows with each change of its histograms.
	picturesAt int64

	// What was asked of the store, and when.
	latency    document.RunLatency
	measured   ledger.Samples // of the run then
	measuredAt time.Time
	failures   []document.FailureCount
	failuresAt time.Time // the time until which it is good enough
	failed     bool      // whether there is something new to ask
	detector   *document.Detector
	detected   bool // the same
}

var seed = maphash.MakeSeed()

// newRun is a run of which we hear for the first time; whole says that we have heard of all of its slices.
func newRun(r ledger.Run, now time.Time, whole bool) *run {
	return &run{
		Run: r, times: newHistory(cmp.Or(r.OpenedAt, now)), since: now, whole: whole, files: map[uint64]struct{}{}, picturesAt: now.UnixMicro(),
		failed: !whole, detected: true, failures: []document.FailureCount{},
	}
}

// note notes what a transaction has made of one of its slices.
func (r *run) note(c *commits.SliceChange, now time.Time) {
	o := c.Outcome()
	r.file(o.Filename)
	troubled := func(s ledger.SliceState) bool { return s == ledger.Waiting || s == ledger.Failed }
	r.failed = r.failed || troubled(c.State) || troubled(c.Was) || len(c.Attempts) > 1
	r.over = nil
	ours := func(at time.Time) bool { return r.whole || at.After(r.since) } // of what was before, the store tells
	if c.Was == "" && ours(o.CreatedAt) {
		if o.CreatedAt.After(now) { // by a clock that is ahead: the run's time does not reach that far
			o.CreatedAt = now
		}
		r.times.came(o.CreatedAt)
	}
	if c.State.Final() && !c.Was.Final() && ours(o.EndedAt) {
		r.times.went(o.EndedAt)
	}
	if c.State == ledger.Done && c.Was != ledger.Done && ours(o.DoneAt) {
		r.times.count(o)
	}
}

func (r *run) file(name string) {
	if name != "" { // of a result that came before its slice it is not known
		r.files[maphash.String(seed, ledger.FileName(name))] = struct{}{}
	}
}

// complete adds what the store has told of it.
func (r *run) complete(before *history, files map[uint64]struct{}) {
	before.merge(r.times)
	r.times, r.over, r.whole = before, nil, true
	for f := range files {
		r.files[f] = struct{}{}
	}
}

// shownHistory is made anew when it has changed.
func (r *run) shownHistory() []document.BoardLatency {
	if r.over == nil {
		most := intervals
		if r.State == document.RunClosed {
			most = intervalsClosed
		}
		r.over = r.times.over(most)
	}
	return r.over
}

// shown is how many runs are on a board.
const shown = 10

// latest puts runs into the order of a board: those that are not over before those that are, and of each the latest first.
func latest(runs []*run) []*run {
	when := func(r *run) time.Time {
		if r.State == document.RunClosed {
			return r.ClosedAt
		}
		return r.OpenedAt
	}
	over := func(r *run) int {
		if r.State == document.RunClosed {
			return 1
		}
		return 0
	}
	slices.SortFunc(runs, func(a, b *run) int {
		return cmp.Or(cmp.Compare(over(a), over(b)), when(b).Compare(when(a)), cmp.Compare(b.RunID.String(), a.RunID.String()))
	})
	return runs
}
