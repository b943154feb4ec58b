package dashboard

import (
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// perPage is how many rows a list has.
const perPage = 50

type runsPage struct {
	State, Next string
	Runs        []document.Run
}

// runs lists all runs, the highest number first.
func (p *Pages) runs(r *http.Request, v *page) error {
	v.Title = "Runs"
	q := r.URL.Query()
	if id := q.Get("run"); id != "" {
		return &elsewhere{v.RunLink(id)}
	}
	data := runsPage{State: q.Get("state")}
	v.Data = &data
	f := ledger.RunFilter{Namespace: p.namespace(r), AfterNamespace: p.namespace(r), Descending: true, Limit: perPage}
	if err := readCursor(r, &f.AfterRun); err != nil {
		return err
	}
	if q.Get("after") != "" {
		v.Refresh = 0
	}
	if f.States = document.KnownRuns(); data.State != "" { // the others are any number, and seldom what is looked for
		f.States = []document.RunState{document.RunState(data.State)}
	}
	list, err := p.cfg.Store.FindRuns(r.Context(), f)
	if err != nil {
		return err
	}
	if len(list) == perPage {
		data.Next = cursor(ledger.Text(list[perPage-1].RunID.String()))
	}
	for i := range list {
		doc, err := p.cfg.Service.RunDocument(r.Context(), list[i])
		if err != nil {
			return err
		}
		data.Runs = append(data.Runs, doc)
	}
	return nil
}
