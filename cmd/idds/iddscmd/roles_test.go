package iddscmd_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// meantFor is who may do what: every operation of the OpenAPI document, and what is served beside them. One that is not here is one that
// nobody has thought about.
var meantFor = map[string]string{
	"pilot harvester viewer operator": `GET /v1/actors  GET /v1/board  GET /v1/components  GET /v1/demand  GET /v1/events  GET /v1/failures  GET /v1/files
		GET /v1/health  GET /v1/logs  GET /v1/messages  GET /v1/runs  GET /v1/runs/{run}  GET /v1/runs/{run}/check  GET /v1/runs/{run}/histograms
		GET /v1/runs/{run}/histograms.root  GET /v1/runs/{run}/payloads  GET /v1/runs/{run}/slices/{slice}  GET /v1/slices  GET /v1/tasks  GET /v1/tf-files
		GET /v1/workers  GET /v1/workers/{worker}  GET /message/1/null/null/null  GET /idds/message/1/null/null/null  GET /metainfo/other  GET /idds/metainfo/other`,
	"pilot":           "GET /metainfo/prompt_broker  GET /idds/metainfo/prompt_broker",
	"pilot operator":  "POST /v1/workers",
	"viewer operator": "GET /metrics  GET /  GET /runs  GET /runs/1  GET /slices  GET /failures  GET /workers  GET /demand  GET /components  GET /logs",
	"operator": `GET /v1/audit  GET /v1/tokens  POST /v1/tokens  DELETE /v1/tokens/{id}  POST /workflow_task  PUT /workflow_task/1/1/1/adjust
		PUT /workflow_task/1/close  PUT /workflow_task/1/1/close  POST /message/1/null/null/null  POST /idds/workflow_task  PUT /idds/workflow_task/1/close`,
	"pilot harvester operator": "POST /v1/components  POST /v1/logs",
	"":                         "GET /ping  GET /idds/ping  GET /docs  GET /openapi.json  GET /login  GET /static/page.js",
}

// operations are those of the OpenAPI document, such as GET /v1/runs.
func (in *instance) operations(t *testing.T) (all []string) {
	t.Helper()
	_, text := in.request(t, in.viewer, http.MethodGet, "/openapi.json", "")
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	must(t, json.Unmarshal([]byte(text), &doc))
	for path, operations := range doc.Paths {
		for method := range operations {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	return all
}

func TestEveryOperationIsForItsRolesAlone(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir(), "--demand-from", "workflow_task")
	tokens := map[string]string{"": "/dev/null"}
	for _, role := range access.Roles() {
		tokens[string(role)] = in.token(t, string(role))
	}
	left := in.operations(t)
	for roles, operations := range meantFor {
		fields := strings.Fields(operations)
		for i := 0; i < len(fields); i += 2 {
			method, path := fields[i], fields[i+1]
			left = slices.DeleteFunc(left, func(op string) bool { return op == method+" "+path })
			path = strings.NewReplacer("{run}", "1", "{slice}", "1", "{worker}", "1", "{id}", "none", "/v1/events", "/v1/events?events=1").Replace(path)
			body := ""
			if method != http.MethodGet {
				body = "{}"
			}
			for role, token := range tokens {
				status, text := in.request(t, token, method, path, body)
				refused := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusSeeOther
				if may := roles == "" || slices.Contains(strings.Fields(roles), role); may == refused || role == "" && status == http.StatusForbidden || status == http.StatusInternalServerError {
					t.Errorf("%s %s by %q: %d, %s", method, path, role, status, text)
				}
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("whom these are for is not said: %s", left)
	}
}

// changes are the operations that change something for others, with what the audit calls it; whoever uses one of reports says something of
// himself.
var (
	changes = map[string]string{"POST /v1/tokens": "token.create", "DELETE /v1/tokens/{id}": "token.revoke"}
	reports = []string{"POST /v1/workers", "POST /v1/components", "POST /v1/logs"}
)

func TestEveryChangeHasALineInTheAuditAndOneInTheLog(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir(), "--demand-from", "workflow_task")
	for _, op := range in.operations(t) {
		if !strings.HasPrefix(op, "GET ") && changes[op] == "" && !slices.Contains(reports, op) {
			t.Errorf("whether %s is a change is not said", op)
		}
	}
	operator := in.token(t, "operator")
	const task = `{"workflow":{"scope":"s","name":"n","content":{"run_id":1,"target_worker_count":2}}}`
	var made document.NewToken
	_, text := in.request(t, operator, http.MethodPost, "/v1/tokens", `{"name":"n","role":"viewer"}`)
	must(t, json.Unmarshal([]byte(text), &made))
	for _, do := range []string{
		"DELETE /v1/tokens/" + made.ID,
		"DELETE /v1/tokens/" + made.ID, // again: no change
		"POST /workflow_task " + task,
		"POST /idds/workflow_task " + task, // again
		`PUT /workflow_task/1/1/1/adjust {"parameters":{"num_workers":3}}`,
		`POST /message/1/null/null/null {"text":"t"}`,
		`POST /server/panda/relay_idds_command {"command_name":"adjust_worker","args":"[1,1,1,{\"num_workers\":4}]"}`,
		"PUT /workflow_task/1/close {}",
	} {
		method, rest, _ := strings.Cut(do, " ")
		path, body, _ := strings.Cut(rest, " ")
		if status, text := in.request(t, operator, method, path, body); status != http.StatusOK {
			t.Fatalf("%s: %d, %s", do, status, text)
		}
	}
	in.publish(t, message.TopicWorkers, map[string]any{"msg_type": message.TypeCreateWorkflowTask, "run_id": "2", "namespace": "default", "content": json.RawMessage(strings.Replace(task, `"run_id":1`, `"run_id":2`, 1))})
	want := map[string]int{"token.create": 1, "token.revoke": 1, "workflow_task.create": 2, "workflow_task.adjust": 2, "workflow_task.close": 1, "message.add": 1}
	var stored map[string]int
	until(t, "the lines of the audit", func() bool {
		_, text := in.request(t, operator, http.MethodGet, "/v1/audit", "")
		var page document.Page[document.AuditLine]
		must(t, json.Unmarshal([]byte(text), &page))
		stored = map[string]int{}
		for _, l := range page.Items {
			stored[l.Did]++
		}
		return len(page.Items) >= 8
	})
	logged := map[string]int{}
	until(t, "the lines of the log", func() bool {
		clear(logged)
		for line := range strings.SplitSeq(in.log.String(), "\n") {
			for did := range want {
				if strings.Contains(line, "audit") && strings.Contains(line, did) {
					logged[did]++
				}
			}
		}
		return maps.Equal(logged, want)
	})
	if !maps.Equal(stored, want) {
		t.Errorf("the audit has %v, want %v", stored, want)
	}
}
