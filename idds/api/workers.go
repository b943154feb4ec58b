package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

func (a *api) registerWorkers(h huma.API) {
	register(h, operation(http.MethodPost, "/v1/workers", "A pilot's report of itself", access.Pilot, access.Operator), a.report)
	register(h, operation(http.MethodGet, "/v1/workers", "Pilots, in pages", readers...), a.workers)
	register(h, with(operation(http.MethodGet, "/v1/workers/{worker}", "One pilot, by its id or the harvester's", readers...), http.StatusNotFound), a.worker)
}

func (a *api) report(ctx context.Context, in *body[document.WorkerReport]) (*body[document.WorkerReply], error) {
	if !access.PrincipalOf(ctx).Sees(in.Body.Namespace) {
		return nil, huma.Error403Forbidden("the token is of another namespace")
	}
	reply, err := a.service.Report(ctx, in.Body)
	return &body[document.WorkerReply]{reply}, err
}

func (a *api) workers(ctx context.Context, in *struct {
	About

	Alive bool   `query:"alive" doc:"only those that report, and have not ended"`
	Phase string `query:"phase" enum:"starting,running,draining,ended," doc:"only those in this phase"`
	After string `query:"after" maxLength:"4000" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"how many at most"`
},
) (*body[document.Page[document.Worker]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	var after ledger.Key
	if err := readCursor(in.After, &after); err != nil {
		return nil, err
	}
	f := ledger.WorkerFilter{Namespace: namespace, AfterNamespace: after.Namespace, AfterPilot: after.Identity, Limit: in.Limit}
	out := &body[document.Page[document.Worker]]{}
	out.Body.Items = []document.Worker{}
	for {
		list, err := a.service.FindWorkers(ctx, f)
		if err != nil {
			return nil, err
		}
		for i := range list {
			w := &list[i]
			f.AfterNamespace, f.AfterPilot = ledger.Text(w.Namespace), ledger.Text(w.PilotID)
			if in.Alive && !w.Alive || in.Phase != "" && string(w.Phase) != in.Phase || in.Run != "" && w.RunID != in.Run {
				continue
			}
			if out.Body.Items = append(out.Body.Items, *w); len(out.Body.Items) == in.Limit {
				out.Body.Next, err = cursor(ledger.Key{Namespace: f.AfterNamespace, Identity: f.AfterPilot})
				return out, err
			}
		}
		if len(list) < f.Limit {
			return out, nil
		}
	}
}

func (a *api) worker(ctx context.Context, in *struct {
	Scope

	Worker string `path:"worker" maxLength:"400"`
},
) (*body[document.Worker], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	for _, f := range []ledger.WorkerFilter{{Pilot: in.Worker}, {Worker: in.Worker}} {
		f.Namespace, f.Limit = namespace, 1
		list, err := a.service.FindWorkers(ctx, f)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			return &body[document.Worker]{list[0]}, nil
		}
	}
	return nil, huma.Error404NotFound("worker " + in.Worker + " is not known")
}
