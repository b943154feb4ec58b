package panda_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/panda"
	"tfpilot/internal/recent"
)

func TestAgentsOfTheProductionSystemSendTheirLinesWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	const path = "/api/logs/"
	if resp := newRig(t, "").ask(t, http.MethodPost, path, "", "{}"); resp.status != http.StatusNotFound {
		t.Errorf("unasked: %d", resp.status)
	}
	memory := recent.New(nil)
	route := panda.AgentLogs(memory, namespace)
	mux := http.NewServeMux()
	mux.Handle(route.Pattern, route.Handler)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	ask := func(body string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+path, strings.NewReader(body))
		must(t, err)
		return do(t, req)
	}
	line := `{"app_name":"data_agent","instance_name":"data-agent-me-1","timestamp":"2026-01-18T09:36:03.194616","level":30,"levelname":"WARNING","message":"late",
		"module":"m","funcname":"f","lineno":17,"process":1,"thread":139,"extra_data":{"execution_id":"e-1","run_id":102023,"username":null}}`
	for body, want := range map[string]int{line: 201, "": 400, "[]": 400, "<html>": 400, `{"message":{"x":1}}`: 400, `{"extra_data":null}`: 201, strings.Repeat("x", 5<<20): 400} {
		if resp := ask(body); resp.status != want {
			t.Errorf("%.80s: %d, %s", body, resp.status, resp.text)
		}
	}
	page, err := memory.Logs(recent.Query{Component: "data-agent-me-1", Level: "WARN", Run: "102023"})
	if err != nil || len(page.Items) != 1 || page.Items[0].Role != "data_agent" || page.Items[0].Attrs["lineno"] != "17" || time.Since(page.Items[0].At).Abs() > time.Minute {
		t.Errorf("%+v, %v", page, err)
	}
}
