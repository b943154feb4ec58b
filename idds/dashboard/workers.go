package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/recent"
)

// recently is how long a pilot that reports no more is told of among those of now.
const recently = time.Hour

type workersPage struct {
	Show, Run string
	Sites     []document.BoardSite
	Workers   []workerRow
	Next      string
}

// Says reports whether any of them has something to say.
func (p workersPage) Says() bool {
	return slices.ContainsFunc(p.Workers, func(w workerRow) bool { return w.Hold != "" || w.Exit != nil })
}

// workerRow is a pilot with what its numbers mean.
type workerRow struct {
	document.Worker

	State string
	// Efficiency is the share of its slots' time that payloads had.
	Efficiency *float64
}

func newWorkerRow(w document.Worker) workerRow {
	row := workerRow{Worker: w, State: string(w.Phase)}
	if used, had := w.SlotTime(); had > 0 {
		share := min(1, used/had)
		row.Efficiency = &share
	}
	switch {
	case w.Phase == document.WorkerEnded:
	case !w.Alive:
		row.State = "silent"
	case w.Hold != "":
		row.State = "on hold"
	}
	return row
}

// workers lists pilots: those of the last hour, or all that ever reported.
func (p *Pages) workers(r *http.Request, v *page) error {
	v.Title = "Workers"
	q, ns := r.URL.Query(), p.namespace(r)
	data := workersPage{Show: q.Get("show"), Run: q.Get("run")}
	v.Data = &data
	f := ledger.WorkerFilter{Namespace: ns, AfterNamespace: ns, Limit: perPage}
	if err := readCursor(r, &f.AfterPilot); err != nil {
		return err
	}
	if f.AfterPilot == "" {
		board, err := p.cfg.Board(r.Context(), ns)
		if err != nil {
			return err
		}
		data.Sites = board.Sites
	}
	if data.Show != "all" {
		f.SeenSince = p.cfg.Service.Now().Add(-recently)
	}
	for {
		list, err := p.cfg.Service.FindWorkers(r.Context(), f)
		if err != nil {
			return err
		}
		for i := range list {
			f.AfterPilot = ledger.Text(list[i].PilotID)
			if data.Run != "" && list[i].RunID != data.Run || data.Show == "alive" && !list[i].Alive {
				continue
			}
			if data.Workers = append(data.Workers, newWorkerRow(list[i])); len(data.Workers) == perPage {
				data.Next = cursor(f.AfterPilot)
				return nil
			}
		}
		if len(list) < f.Limit {
			return nil
		}
	}
}

// slicesOfWorker and linesOfWorker are how many of its slices, and lines of its log, a pilot's page has.
const slicesOfWorker, linesOfWorker = 20, 20

type workerPage struct {
	ID string
	// Worker is nil of one that has never reported: only its results have come.
	Worker *workerRow
	// Trouble are slices that failed here, or are to be tried again.
	Trouble []document.Slice
	// Lines are the last of its log, the last first.
	Lines news[document.LogRecord]
}

// worker is all that a pilot says of itself.
func (p *Pages) worker(r *http.Request, v *page) error {
	id, ns := named(r, "worker"), p.namespace(r)
	v.Title = "Worker " + id
	data := workerPage{ID: id}
	v.Data = &data
	list, err := p.cfg.Service.FindWorkers(r.Context(), ledger.WorkerFilter{Namespace: ns, Pilot: id, AfterNamespace: ns, Limit: 1})
	if err != nil {
		return err
	}
	of := ledger.Filter{Namespace: ns, Pilot: id, Limit: 1}
	if len(list) > 0 {
		row := newWorkerRow(list[0])
		if data.Worker = &row; row.Phase == document.WorkerEnded {
			v.Refresh = 0
		}
	} else if its, err := p.cfg.Store.Slices(r.Context(), of); err != nil {
		return err
	} else if len(its) == 0 {
		return missing("Unknown worker", fmt.Sprintf("No pilot %s has reported in the namespace %s, and no result of one has come.", id, ns))
	}
	of.States, of.Limit = []ledger.SliceState{ledger.Failed, ledger.Waiting}, slicesOfWorker
	found, err := p.cfg.Store.Slices(r.Context(), of)
	if err != nil {
		return err
	}
	if data.Trouble, err = p.cfg.Service.Records(r.Context(), ns, found); err != nil || p.cfg.Recent == nil {
		return err
	}
	lines, err := p.cfg.Recent.Logs(recent.Query{Namespace: ns, Component: id, Limit: linesOfWorker})
	slices.Reverse(lines.Items)
	data.Lines.Items = lines.Items
	return err
}
