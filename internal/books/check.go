package books

import (
	"context"
	"fmt"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// shownInCheck bounds the outstanding slices of an accounting; how many there are, and where, is said of all.
const shownInCheck = ledger.PageSize

// Check is the accounting of a run: it adds up only if the slices in the store are what the run's counters say.
func (b *Books) Check(ctx context.Context, r ledger.Run) (document.RunCheck, error) {
	// Of a run that goes on both have to be of one moment, or results that come in between are a problem.
	then, counted, err := b.store.Tally(ctx, r.Namespace, r.RunID.String())
	if err != nil {
		return document.RunCheck{}, err
	}
	if then != nil { // or it was forgotten meanwhile
		r = *then
	}
	doc, err := b.RunDocument(ctx, r)
	if err != nil {
		return document.RunCheck{}, err
	}
	out := document.RunCheck{Run: doc, Problems: []string{}, Places: map[document.Place]int{}, Outstanding: []document.Slice{}}
	if err := b.locate(ctx, r, &out); err != nil {
		return out, err
	}
	c := doc.Slices
	problem := func(bad bool, format string, args ...any) {
		if bad {
			out.Problems = append(out.Problems, fmt.Sprintf(format, args...))
		}
	}
	problem(counted[ledger.Done] != c.Done || counted[ledger.Failed] != c.Failed, "counters say done %d, failed %d; the slices say %d, %d",
		c.Done, c.Failed, counted[ledger.Done], counted[ledger.Failed])
	problem(counted[ledger.Outstanding]+counted[ledger.Waiting] != c.Outstanding, "%d slices are outstanding, the counters say %d",
		counted[ledger.Outstanding]+counted[ledger.Waiting], c.Outstanding)
	problem(doc.TotalSlices != nil && *doc.TotalSlices != c.Published, "the producer announced %d slices, %d were seen", deref(doc.TotalSlices), c.Published)
	problem(c.Unmatched > 0, "%d results fit no slice", c.Unmatched)
	problem(c.Unexplained > 0, "%d results came twice without any fault", c.Unexplained)
	problem(doc.State == document.RunClosed && c.Outstanding > 0, "the run is closed with %d slices outstanding", c.Outstanding)
	out.OK = len(out.Problems) == 0
	return out, nil
}

// locate finds where every outstanding slice is.
func (b *Books) locate(ctx context.Context, r ledger.Run, out *document.RunCheck) error {
	f := ledger.Filter{Namespace: r.Namespace, Run: r.RunID.String(), States: []ledger.SliceState{ledger.Outstanding, ledger.Waiting}}
	for {
		page, err := b.store.Slices(ctx, f)
		if err != nil {
			return err
		}
		records, err := b.Records(ctx, r.Namespace, page)
		if err != nil {
			return err
		}
		for i := range records {
			out.Places[records[i].Place]++
		}
		out.Outstanding = append(out.Outstanding, records[:min(len(records), shownInCheck-len(out.Outstanding))]...)
		if len(page) < ledger.PageSize {
			return nil
		}
		f.After = page[len(page)-1].Key
	}
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
