package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

func (a *api) registerSlices(h huma.API) {
	register(h, operation(http.MethodGet, "/v1/slices", "Slices, run by run in the order of their coming, in pages", readers...), a.slices)
	register(h, with(operation(http.MethodGet, "/v1/runs/{run}/slices/{slice}", "One slice with its whole history", readers...),
		http.StatusNotFound, http.StatusConflict), a.slice)
}

func (a *api) slices(ctx context.Context, in *struct {
	About
	PageQuery

	State    string `query:"state" enum:"outstanding,waiting,done,failed," doc:"only slices in this state"`
	Worker   string `query:"worker" maxLength:"400" doc:"only slices that this pilot had last, by its pilot_id"`
	Class    string `query:"class" maxLength:"400" doc:"only slices of which the last attempt that failed did with this class of failure; those that are done by another attempt too"`
	Reason   string `query:"reason" maxLength:"400" doc:"only slices of which the last attempt that failed did with the failure of this name; those that are done by another attempt too"`
	Filename string `query:"filename" maxLength:"4000" doc:"only slices of this STF file; together with run"`
},
) (*body[document.Page[document.Slice]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	if in.Filename != "" && in.Run == "" {
		return nil, huma.Error422UnprocessableEntity("filename goes together with run")
	}
	f := ledger.Filter{
		Namespace: namespace, Run: in.Run, Limit: in.Limit, Pilot: in.Worker, Class: in.Class, Failure: in.Reason, Filename: in.Filename,
	}
	if err := readCursor(in.After, &f.After); err != nil {
		return nil, err
	}
	if in.State != "" {
		f.States = []ledger.SliceState{ledger.SliceState(in.State)}
	}
	list, err := a.store.Slices(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &body[document.Page[document.Slice]]{}
	if out.Body.Items, err = a.service.Records(ctx, namespace, list); err != nil {
		return nil, err
	}
	if len(list) == in.Limit {
		out.Body.Next, err = cursor(list[len(list)-1].Key)
	}
	return out, err
}

func (a *api) slice(ctx context.Context, in *struct {
	RunPath

	Slice string `path:"slice" maxLength:"1000" doc:"identity of the slice"`
},
) (*body[document.SliceHistory], error) {
	r, err := a.find(ctx, &in.RunPath)
	if err != nil {
		return nil, err
	}
	doc, err := a.service.History(ctx, ledger.Key{Namespace: r.Namespace, Run: r.RunID.String(), Identity: in.Slice})
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, huma.Error404NotFound("run " + in.Run + " has no slice " + in.Slice)
	}
	return &body[document.SliceHistory]{*doc}, nil
}
