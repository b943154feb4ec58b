package iddscmd_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestWorkflowTasksAreListed(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir(), "--demand-from", "workflow_task")
	secret, err := os.ReadFile(in.token(t, "operator"))
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, in.url+"/idds/workflow_task",
		strings.NewReader(`{"workflow":{"scope":"s","name":"n","content":{"run_id":102023,"target_worker_count":12,"site":"BNL\u001b[31m"}}}`))
	must(t, err)
	req.Header.Set("X-IDDS-Auth-Token", strings.TrimSpace(string(secret)))
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, resp.Body.Close())
	command(t, "tasks", "--idds", in.url, "--token-file", in.viewer).mustSay(t, 0, "REQUEST", "102023", "open   12", "BNL [31m")
	command(t, "tasks", "--run", "7", "--output", "json", "--idds", in.url, "--token-file", in.viewer).mustSay(t, 0, `"items": []`)
	command(t, "tasks", "7", "--idds", in.url, "--token-file", in.viewer).mustSay(t, 64)
}
