package panda_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
)

var operator = secrets[access.Operator]

func TestATaskIsMadeAdjustedAndClosedByRequests(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/idds"} {
		r := newRig(t, ledger.WorkflowTask)
		a := r.ask(t, http.MethodPost, base+"/workflow_task", operator, `{"workflow":`+asked+`}`)
		want := `{
    "input_coll_id": 1,
    "output_coll_id": 2,
    "processing_id": 1,
    "request_id": 1,
    "transform_id": 1,
    "workload_id": 1
}`
		if diff := cmp.Diff(want, a.text); diff != "" || a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
			t.Error(a.status, diff)
		}
		again := r.ask(t, http.MethodPost, base+"/workflow_task", operator, `{"workflow":`+asked+`}`)
		if again.text != want {
			t.Error(again)
		}
		for path, body := range map[string]string{
			"/workflow_task/1/null/null/adjust": `{"parameters":{"core_count":45,"memory_per_core":null,"site":null,"content":{"run_id":"100001"}}}`,
			"/workflow_task/1/1/1/adjust":       `{"parameters":{"core_count":45}}`,
		} {
			a := r.ask(t, http.MethodPut, base+path, operator, body)
			if want := "{\n    \"message\": \"adjusted successfully\",\n    \"status\": 0\n}"; a.text != want || a.status != http.StatusOK {
				t.Error(path, a)
			}
		}
		runs, err := r.store.Runs(t.Context(), namespace)
		if err != nil || len(runs) != 1 || runs[0].Workers != 45 || runs[0].SiteWorkers["BNL-OSG"] != 45 {
			t.Errorf("%+v, %v", runs, err)
		}
		for _, path := range []string{"/workflow_task/1/close", "/workflow_task/1/1/close", "/workflow_task/null/close"} {
			a := r.ask(t, http.MethodPut, base+path, operator, `{"parameters":{"transform_id":1,"workload_id":1,"run_id":"100001"}}`)
			if want := "{\n    \"message\": \"closed successfully\",\n    \"status\": 0\n}"; a.text != want || a.status != http.StatusOK {
				t.Error(path, a)
			}
		}
		lines, _, err := r.store.AuditPage(t.Context(), namespace, 0, 10)
		must(t, err)
		var did []string
		for _, l := range lines {
			did = append(did, l.Did+" by "+string(l.Role)+" from "+l.From)
		}
		wantLines := []string{
			"workflow_task.close by operator from 127.0.0.1", "workflow_task.adjust by operator from 127.0.0.1", "workflow_task.create by operator from 127.0.0.1",
		}
		if diff := cmp.Diff(wantLines, did); diff != "" {
			t.Error(diff)
		}
	}
}

func TestABadRequestIsRefusedAsAnIDDSDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.WorkflowTask)
	r.ask(t, http.MethodPost, "/workflow_task", operator, `{"workflow":`+asked+`}`).wants(t, http.StatusOK, "", "")
	for _, c := range []struct {
		method, path, body string
		status             int
		class, words       string
	}{
		{http.MethodPost, "/workflow_task", ``, 400, "BadRequest", "'workflow' key is required"},
		{http.MethodPost, "/workflow_task", `{"workflow":null}`, 400, "BadRequest", "'workflow' key is required"},
		{http.MethodPost, "/workflow_task", `{`, 400, "BadRequest", "Cannot decode JSON"},
		{http.MethodPost, "/workflow_task", "{\"workflow\":\"\xff\"}", 400, "BadRequest", "Cannot decode JSON"},
		{http.MethodPost, "/workflow_task", `{"workflow":{"name":"n","content":{"run_id":1}}}`, 400, "BadRequest", "no scope"},
		{http.MethodPost, "/workflow_task", `{"workflow":"<script>"}`, 400, "BadRequest", "run_id missing"},
		{http.MethodPost, "/workflow_task", `{"workflow":{"scope":"s","name":"n","content":{"run_id":1,"core_count":-3}}}`, 400, "BadRequest", "not between"},
		{http.MethodPost, "/workflow_task", strings.Repeat("x", 5<<20), 413, "BadRequest", "longer than"},
		{http.MethodPut, "/workflow_task/9/null/null/adjust", `{"parameters":{}}`, 404, "NoObject", "no workflow task of request 9"},
		{http.MethodPut, "/workflow_task/x/null/null/adjust", `{"parameters":{}}`, 400, "BadRequest", "neither a number nor null"},
		{http.MethodPut, "/workflow_task/-1/null/null/adjust", `{"parameters":{}}`, 400, "BadRequest", "neither a number nor null"},
		{http.MethodPut, "/workflow_task/null/null/null/adjust", `{"parameters":{}}`, 400, "BadRequest", "run_id missing"},
		{http.MethodPut, "/workflow_task/1/1/1/adjust", `{"parameters":[]}`, 400, "BadRequest", "Cannot decode JSON"},
		{http.MethodPut, "/workflow_task/1/1/1/adjust", `{"parameters":{"core_count":"a lot"}}`, 400, "BadRequest", "Cannot decode JSON"},
		{http.MethodPut, "/workflow_task/1/1/1/adjust", `{"parameters":{"memory_per_core":-1}}`, 400, "BadRequest", "memory_per_core"},
		{http.MethodPut, "/workflow_task/9/close", ``, 404, "NoObject", "no workflow task"},
		{http.MethodPost, "/message/null/null/null/null", `{}`, 400, "BadRequest", "request_id should not be None"},
		{http.MethodPost, "/message/9/null/null/null", `{}`, 404, "NoObject", "no request 9"},
		{http.MethodPost, "/message/1/null/null/null", `7`, 400, "BadRequest", "an object, or a list"},
		{http.MethodPost, "/message/1/null/null/null", `{"command":"update_request","parameters":{"status":1}}`, 400, "BadRequest", "commands are not taken"},
		{http.MethodGet, "/message/null/1/None/None", ``, 400, "BadRequest", "request_id should not be None"},
		{http.MethodGet, "/auth/url/EIC", ``, 404, "NoObject", "idds token create"},
		{http.MethodGet, "/auth/url/EIC/oidc", ``, 404, "NoObject", "idds token create"},
		{http.MethodGet, "/auth/url/EIC/x509", ``, 400, "BadRequest", "is not supported"},
		{http.MethodGet, "/auth/token/EIC/code", ``, 404, "NoObject", "no sign-in"},
		{http.MethodGet, "/auth/token/EIC/code/5", ``, 404, "NoObject", "no sign-in"},
		{http.MethodGet, "/auth/token/E%C3%84C%0A/code/5/60", ``, 404, "NoObject", `E\u00c4C\\n`},
		{http.MethodPost, "/auth/token/EIC", `{"refresh_token":"x"}`, 404, "NoObject", "is refreshed"},
		{http.MethodPost, "/auth/token/EIC", `{}`, 400, "BadRequest", "refresh_token is missing"},
		{http.MethodGet, "/idds/nothing", ``, 404, "IDDSException", "not defined"},
		{http.MethodDelete, "/idds/workflow_task", ``, 404, "IDDSException", "not defined"},
		{http.MethodPost, "/metainfo/x", ``, 404, "IDDSException", "not defined"},
	} {
		a := r.ask(t, c.method, c.path, operator, c.body)
		a.wants(t, c.status, c.class, c.words)
		if strings.HasPrefix(c.path, "/metainfo") || c.method == http.MethodDelete {
			continue
		}
		if a := r.ask(t, c.method, c.path+"?json_outputs=true", operator, c.body); a.status != http.StatusOK || !strings.Contains(a.text, `"ExceptionClass": "`+c.class+`"`) {
			t.Errorf("%s: %+v", c.path, a)
		}
	}
	if t.Failed() {
		return
	}
	list, err := r.store.Tasks(t.Context(), ledger.TaskFilter{})
	if err != nil || len(list) != 1 || len(list[0].Changes) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWhoMayNotIsToldWhyAsAnIDDSDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.WorkflowTask)
	body := `{"workflow":` + asked + `}`
	for _, role := range []access.Role{access.Pilot, access.Harvester, access.Viewer} {
		r.ask(t, http.MethodPost, "/workflow_task", secrets[role], body).wants(t, http.StatusForbidden, "IDDSException", "the token's role is "+string(role))
	}
	r.ask(t, http.MethodPost, "/workflow_task", "", body).wants(t, http.StatusUnauthorized, "IDDSException", "a valid token is needed")
	r.ask(t, http.MethodPost, "/workflow_task", "nonsense\u00e4", body).wants(t, http.StatusUnauthorized, "IDDSException", "a valid token is needed")
	r.ask(t, http.MethodPost, "/workflow_task", r.theirs, body).wants(t, http.StatusForbidden, "AuthenticationNoPermission", "another namespace")
	if a := r.ask(t, http.MethodPost, "/workflow_task?json_outputs=true", "", body); a.status != http.StatusOK || !strings.Contains(a.text, `"status": 401`) {
		t.Error(a)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/idds/metainfo/prompt_broker", http.NoBody)
	must(t, err)
	req.Header.Set("X-IDDS-Auth-Type", "x509_proxy")
	do(t, req).wants(t, http.StatusUnauthorized, "IDDSException", "set auth_type (IDDS_AUTH_TYPE) to oidc")
	list, err := r.store.Tasks(t.Context(), ledger.TaskFilter{})
	if err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWhereTheDemandComesFromRunImminentATaskIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.RunImminent)
	r.ask(t, http.MethodPost, "/workflow_task", operator, `{"workflow":`+asked+`}`).wants(t, http.StatusConflict, "ConflictRequestException", "--demand-from workflow_task")
	actors, err := r.store.Actors(t.Context(), namespace)
	if err != nil || len(actors) != 1 || actors[0].Duty != "demand" {
		t.Errorf("%+v, %v", actors, err)
	}
}

func TestTheBrokersPasswordIsForPilotsAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.WorkflowTask)
	for _, path := range []string{"/metainfo/prompt_broker", "/idds/metainfo/prompt_broker"} {
		for _, role := range access.Roles() {
			a := r.ask(t, http.MethodGet, path, secrets[role], "")
			if got := strings.Contains(a.text, `"password": "p"`); got != (role == access.Pilot) || got != (a.status == http.StatusOK) {
				t.Errorf("%s %s: %+v", path, role, a)
			}
		}
	}
	a := r.ask(t, http.MethodGet, "/metainfo/prompt_broker", secrets[access.Pilot], "")
	if !strings.HasPrefix(a.text, "{\n    \"ejfat\": {},\n    \"result_broker\": {\n        \"brokers\": \"broker:61613\",") {
		t.Error(a.text)
	}
	if a := r.ask(t, http.MethodGet, "/ping", "", ""); a.text != "{\n    \"Status\": \"OK\"\n}" {
		t.Error(a)
	}
	for name, want := range map[string]string{"asyncresult_config": `"broker_timeout": 360`, "nonsense": "{}"} {
		if a := r.ask(t, http.MethodGet, "/metainfo/"+name, secrets[access.Viewer], ""); a.status != http.StatusOK || !strings.Contains(a.text, want) {
			t.Error(name, a)
		}
	}
}

func TestMessagesAreKeptForARequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.WorkflowTask)
	r.ask(t, http.MethodPost, "/workflow_task", operator, `{"workflow":`+asked+`}`).wants(t, http.StatusOK, "", "")
	for _, body := range []string{`[{"a":1},{"a":2}]`, `{"a":3,"html":"<b>"}`, `[]`} {
		if a := r.ask(t, http.MethodPost, "/message/1/null/1/x", operator, body); a.text != "{\n    \"request_id\": 1\n}" {
			t.Error(a)
		}
	}
	for path, want := range map[string]int{
		"/message/1/null/null/null": 3, "/message/1/null/None/None": 3, "/message/1/null/1/x": 3, "/message/1/null/2/null": 0, "/message/1/null/1/y": 0, "/message/2/null/null/null": 0,
	} {
		a := r.ask(t, http.MethodGet, path, secrets[access.Viewer], "")
		if strings.Count(a.text, `"a":`) != want || a.status != http.StatusOK {
			t.Error(path, a)
		}
	}
	if a := r.ask(t, http.MethodGet, "/message/1/null/null/null", r.theirs, ""); a.text != "[]" {
		t.Error(a)
	}
	many := "[" + strings.Repeat(`1,`, 999) + "1]"
	r.ask(t, http.MethodPost, "/message/1/null/null/null", operator, many).wants(t, http.StatusConflict, "ConflictRequestException", "no more than 1000")
}
