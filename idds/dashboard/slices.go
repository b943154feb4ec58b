package dashboard

import (
	"fmt"
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

type slicesPage struct {
	Run, State, Class, Reason, Worker, Filename string

	Slices []document.Slice
	Next   string
}

// States are those that can be asked for.
func (slicesPage) States() []ledger.SliceState {
	return []ledger.SliceState{ledger.Outstanding, ledger.Waiting, ledger.Done, ledger.Failed}
}

// slices lists slices of a filter, run by run in the order of their coming.
func (p *Pages) slices(r *http.Request, v *page) error {
	v.Title = "Slices"
	q := r.URL.Query()
	data := slicesPage{
		Run: q.Get("run"), State: q.Get("state"), Class: q.Get("class"), Reason: q.Get("reason"), Worker: q.Get("worker"), Filename: q.Get("filename"),
	}
	v.Data = &data
	if data.Filename != "" && data.Run == "" {
		return &refusal{http.StatusBadRequest, "Which run?", "An STF file is looked for in a run: give its number too."}
	}
	f := ledger.Filter{
		Namespace: p.namespace(r), Run: data.Run, Pilot: data.Worker, Class: data.Class, Failure: data.Reason, Filename: data.Filename, Limit: perPage,
	}
	if data.State != "" {
		f.States = []ledger.SliceState{ledger.SliceState(data.State)}
	}
	if err := readCursor(r, &f.After); err != nil {
		return err
	}
	list, err := p.cfg.Store.Slices(r.Context(), f)
	if err != nil {
		return err
	}
	if len(list) == perPage {
		data.Next = cursor(list[perPage-1].Key)
	}
	data.Slices, err = p.cfg.Service.Records(r.Context(), f.Namespace, list)
	return err
}

// find leads to a slice whose identity was found in a log.
func (p *Pages) find(r *http.Request, v *page) error {
	v.Title = "Find a slice"
	identity, f := r.URL.Query().Get("identity"), ledger.RunFilter{Namespace: p.namespace(r), AfterNamespace: p.namespace(r), Descending: true}
	for {
		runs, err := p.cfg.Store.FindRuns(r.Context(), f)
		if err != nil {
			return err
		}
		for i := range runs {
			f.AfterRun = ledger.Text(runs[i].RunID.String())
			s, err := p.cfg.Store.Slice(r.Context(), ledger.Key{Namespace: f.Namespace, Run: f.AfterRun, Identity: identity})
			if err != nil {
				return err
			}
			if s != nil {
				return &elsewhere{v.SliceLink(s.Key.Run, s.Key.Identity)}
			}
		}
		if len(runs) < ledger.PageSize {
			return missing("Unknown slice", fmt.Sprintf("No run of the namespace %s has a slice %s.", f.Namespace, identity))
		}
	}
}
