package dashboard

import (
	"context"
	"net/http"
	"slices"

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
	list, next, err := p.findRuns(r.Context(), f, document.RunState(data.State))
	if err != nil {
		return err
	}
	if next != "" {
		data.Next = cursor(next)
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

// findRuns are the runs of a filter in a state, in any when it is empty. next goes on.
func (p *Pages) findRuns(ctx context.Context, f ledger.RunFilter, state document.RunState) (out []ledger.Run, next string, err error) {
	if state == document.RunOpen || state == document.RunEnding { // few, among many
		list, err := p.cfg.Store.OpenRuns(ctx, f.Namespace)
		slices.Reverse(list)
		for i := range list {
			if id := list[i].RunID.String(); list[i].State == state && (f.AfterRun == "" || id < f.AfterRun) && len(out) < f.Limit {
				out, next = append(out, list[i]), id
			}
		}
		return out, full(out, f.Limit, next), err
	}
	for {
		list, err := p.cfg.Store.FindRuns(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for i := range list {
			f.AfterRun = ledger.Text(list[i].RunID.String())
			if state != "" && list[i].State != state {
				continue
			}
			if out = append(out, list[i]); len(out) == f.Limit {
				return out, f.AfterRun, nil
			}
		}
		if len(list) < f.Limit {
			return out, "", nil
		}
	}
}

// full is the cursor of a page that may not be the last one.
func full[T any](rows []T, limit int, next string) string {
	if len(rows) < limit {
		return ""
	}
	return next
}
