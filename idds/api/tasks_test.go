package api_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/idds/api"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

func TestWorkflowTasksAreListedWithTheirChanges(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		for i, id := range []string{"100001", "100002", "100001"} {
			task := ledger.Task{
				Namespace: namespace, RunID: message.Run(id), Scope: "s", Name: strings.Repeat("n", i+1), TaskSize: document.TaskSize{Workers: i, Site: "<b>"},
				CreatedAt: time.Now().UTC(), Changes: []document.TaskChange{{Did: "adjusted", By: "me"}},
			}
			if err := tx.PutTask(&task); err != nil {
				return err
			}
		}
		return nil
	}))
	base := serverOn(t, store, api.Config{})
	page := read[document.Page[document.Task]](t, base+"/v1/tasks?limit=2")
	if len(page.Items) != 2 || page.Items[1].TransformID != 2 || page.Items[1].State != "open" || len(page.Items[1].Changes) != 1 || page.Next == "" {
		t.Errorf("%+v", page)
	}
	if page := read[document.Page[document.Task]](t, base+"/v1/tasks?limit=2&after="+page.Next); len(page.Items) != 1 || page.Items[0].Name != "nnn" || page.Next != "" {
		t.Errorf("%+v", page)
	}
	if page := read[document.Page[document.Task]](t, base+"/v1/tasks?run=100001"); len(page.Items) != 2 {
		t.Errorf("%+v", page)
	}
	if page := read[document.Page[document.Task]](t, base+"/v1/tasks?namespace=theirs"); len(page.Items) != 0 {
		t.Errorf("%+v", page)
	}
}
