// Package commits tells what each transaction of the ledger has changed, once it is stored: metrics, traces and the page live on that.
package commits

import (
	"context"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
)

// Commit is what one transaction has changed, or that it failed.
type Commit struct {
	// Number grows in the order in which transactions were made: listeners may hear of two in another one.
	Number uint64
	// Took is how long it took, with the wait for its turn.
	Took time.Duration
	// Err is why nothing was stored; all below is empty then.
	Err error

	Slices  []SliceChange
	Runs    []RunChange
	Workers []WorkerSeen
	// Pictured are the runs whose histograms have changed, Detected those of which the data side has said something; their Identity is empty.
	Pictured, Detected []ledger.Key
}

// RunChange is a run as a transaction has left it. A listener must not change it.
type RunChange struct {
	ledger.Run

	// Was is as it was before; of one that was not known it has no state. Only its numbers and states are of that time.
	Was ledger.Run
	// Dropped says that it was forgotten.
	Dropped bool
}

// SliceChange is a slice as a transaction has left it. A listener must not change it.
type SliceChange struct {
	*ledger.Slice
	// Was is its state before, empty for a slice that was not known.
	Was ledger.SliceState
	// Ended are the numbers of the attempts that ended with it: done, failed or lost.
	Ended []int
}

// WorkerSeen is a pilot's report with the time at which it came.
type WorkerSeen struct {
	document.WorkerReport
	At time.Time
}

// Watch is a store that tells of its transactions once they are committed: what is counted, drawn and traced is what was stored, and
// nothing of a transaction that had to be tried again. Who hears is called by whoever wrote, and has to be quick.
func Watch(s ledger.Store, hear func(Commit)) ledger.Store { return &watched{Store: s, hear: hear} }

type watched struct {
	ledger.Store

	hear func(Commit)
	// number is of the latest transaction. Update is serialised, but its callers are not.
	number uint64
}

// Update does as the store below, and tells of it.
func (w *watched) Update(ctx context.Context, fn func(tx ledger.Tx) error) error {
	began := time.Now()
	var told *witness
	err := w.Store.Update(ctx, func(tx ledger.Tx) error {
		w.number++
		told = &witness{Tx: tx, number: w.number, before: map[*ledger.Slice]glimpse{}, were: map[*ledger.Run]ledger.Run{}, runs: map[*ledger.Run]bool{}}
		return fn(told)
	})
	c := Commit{Took: time.Since(began), Err: err}
	if told != nil {
		c.Number = told.number
		if err == nil {
			told.tell(&c)
		}
	}
	w.hear(c)
	return err
}

// witness notes what a transaction reads and puts.
type witness struct {
	ledger.Tx

	number  uint64
	before  map[*ledger.Slice]glimpse
	put     []*ledger.Slice
	were    map[*ledger.Run]ledger.Run
	runs    map[*ledger.Run]bool // whether it was dropped
	workers []WorkerSeen

	pictured, detected []ledger.Key
}

// glimpse is as much of a slice as tells afterwards what has changed.
type glimpse struct {
	state ledger.SliceState
	ended []int
	put   bool
}

func ended(s *ledger.Slice) (numbers []int) {
	for i := range s.Attempts {
		if s.Attempts[i].State != "sent" {
			numbers = append(numbers, s.Attempts[i].Attempt)
		}
	}
	return numbers
}

func (w *witness) saw(s *ledger.Slice, err error) (*ledger.Slice, error) {
	if s == nil || err != nil {
		return s, err
	}
	if _, known := w.before[s]; !known {
		w.before[s] = glimpse{state: s.State, ended: ended(s)}
	}
	return s, nil
}

// Slice notes how a slice was.
func (w *witness) Slice(k ledger.Key) (*ledger.Slice, error) { return w.saw(w.Tx.Slice(k)) }

// SliceByRequest notes how a slice was.
func (w *witness) SliceByRequest(namespace, run string, createdAt time.Time) (*ledger.Slice, error) {
	return w.saw(w.Tx.SliceByRequest(namespace, run, createdAt))
}

// PutSlice notes that a slice has changed.
func (w *witness) PutSlice(s *ledger.Slice) error {
	if g := w.before[s]; !g.put {
		g.put = true
		w.before[s] = g
		w.put = append(w.put, s)
	}
	return w.Tx.PutSlice(s)
}

// Run notes how a run was.
func (w *witness) Run(namespace, run string) (*ledger.Run, error) {
	r, err := w.Tx.Run(namespace, run)
	if r != nil && err == nil {
		_, known := w.were[r]
		if _, ours := w.runs[r]; !known && !ours { // nor made by this transaction
			w.were[r] = *r
		}
	}
	return r, err
}

// PutRun notes that a run has changed.
func (w *witness) PutRun(r *ledger.Run) error {
	w.runs[r] = false
	return w.Tx.PutRun(r)
}

// DropRun notes that a run was forgotten.
func (w *witness) DropRun(r *ledger.Run) error {
	w.runs[r] = true
	return w.Tx.DropRun(r)
}

// PutWorker notes what a pilot said.
func (w *witness) PutWorker(r document.WorkerReport, at time.Time) error {
	w.workers = append(w.workers, WorkerSeen{r, at})
	return w.Tx.PutWorker(r, at)
}

// PutHistograms notes that the histograms of a run have changed.
func (w *witness) PutHistograms(namespace, run string, set hist.Set) error {
	if k := (ledger.Key{Namespace: namespace, Run: run}); !slices.Contains(w.pictured, k) {
		w.pictured = append(w.pictured, k)
	}
	return w.Tx.PutHistograms(namespace, run, set)
}

// PutDocument notes that there is news of the detector.
func (w *witness) PutDocument(k ledger.Kind, document any, key ...string) error {
	if k.Table == ledger.Detectors.Table {
		w.detected = append(w.detected, ledger.Key{Namespace: key[0], Run: key[1]})
	}
	return w.Tx.PutDocument(k, document, key...)
}

func (w *witness) tell(c *Commit) {
	c.Workers, c.Pictured, c.Detected = w.workers, w.pictured, w.detected
	for r, dropped := range w.runs {
		c.Runs = append(c.Runs, RunChange{Run: *r, Was: w.were[r], Dropped: dropped})
	}
	c.Slices = make([]SliceChange, 0, len(w.put))
	for _, s := range w.put {
		g := w.before[s]
		change := SliceChange{Slice: s, Was: g.state}
		for _, n := range ended(s) {
			if !slices.Contains(g.ended, n) {
				change.Ended = append(change.Ended, n)
			}
		}
		c.Slices = append(c.Slices, change)
	}
}
