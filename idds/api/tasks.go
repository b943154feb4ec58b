package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

func (a *api) registerTasks(h huma.API) {
	register(h, operation(http.MethodGet, "/v1/tasks", "Workflow tasks that the production system has asked for, with their changes, in pages", readers...), a.tasks)
}

func (a *api) tasks(ctx context.Context, in *struct {
	Scope
	PageQuery

	Run string `query:"run" maxLength:"200" doc:"only of this run"`
},
) (*body[document.Page[document.Task]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	f := ledger.TaskFilter{Namespace: namespace, Run: in.Run, Limit: in.Limit}
	if err := readCursor(in.After, &f.After); err != nil {
		return nil, err
	}
	list, err := a.store.Tasks(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &body[document.Page[document.Task]]{}
	out.Body.Items = []document.Task{}
	for i := range list {
		out.Body.Items = append(out.Body.Items, list[i].Document())
	}
	if len(list) == in.Limit {
		out.Body.Next, err = cursor(list[len(list)-1].ID)
	}
	return out, err
}
