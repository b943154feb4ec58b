package dashboard

import (
	"fmt"
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/timeline"
)

type slicePage struct {
	Slice    document.SliceHistory
	Timeline *timeline.Picture
	Attempts []attemptRow
	// Latency is from its creation to its end, negative while it has none.
	Latency float64
	Message string
	// Text and Next say what its failure is, and what is to be done.
	Text, Next string
}

// attemptRow is an attempt with how long its steps took.
type attemptRow struct {
	document.Attempt

	Steps []timeline.Bar
}

// Number is which attempt it is: Attempt is all of it here.
func (r attemptRow) Number() int { return r.Attempt.Attempt }

// slice is a slice with its whole history.
func (p *Pages) slice(r *http.Request, v *page) error {
	identity := named(r, "slice")
	v.Title = "Slice " + identity
	run, err := p.findRun(r)
	if err != nil {
		return err
	}
	doc, err := p.cfg.Service.History(r.Context(), ledger.Key{Namespace: run.Namespace, Run: run.RunID.String(), Identity: identity})
	if err != nil {
		return err
	}
	if doc == nil {
		return missing("Unknown slice", fmt.Sprintf("Run %s has no slice %s.", run.RunID, identity))
	}
	data := slicePage{Slice: *doc, Latency: -1}
	now := p.cfg.Service.Health(r.Context()).At
	data.Timeline = timeline.OfSlice(doc, now)
	for i := range doc.Attempts {
		data.Attempts = append(data.Attempts, attemptRow{doc.Attempts[i], timeline.Steps(doc, &doc.Attempts[i], now)})
	}
	if !doc.FinishedAt.IsZero() && !doc.CreatedAt.IsZero() {
		data.Latency = max(0, doc.FinishedAt.Sub(doc.CreatedAt).Seconds())
		v.Refresh = 0
	}
	data.Message = indent(doc.Message)
	if doc.Failure != nil {
		data.Text, data.Next = advice(doc.Failure.Name)
	}
	v.Data = data
	return nil
}
