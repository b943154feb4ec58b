package iddscmd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

// mark stands in everything that only the service's own namespace may see; theirMark in what another one says.
const mark, theirMark = "OURS", "THEIRS"

// browser follows nobody to another page.
var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// request asks with a token in a file.
func (in *instance) request(t *testing.T, token, method, path, body string) (status int, text string) {
	t.Helper()
	secret, err := os.ReadFile(token)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, in.url+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := browser.Do(req)
	must(t, err)
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	return resp.StatusCode, string(b)
}

// paths are all that can be looked at, and what tells of nobody's data.
func (in *instance) paths(t *testing.T) (all, silent []string) {
	t.Helper()
	_, text := in.request(t, in.viewer, http.MethodGet, "/openapi.json", "")
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	must(t, json.Unmarshal([]byte(text), &doc))
	fill := strings.NewReplacer("{run}", "100001", "{slice}", "bad", "{worker}", "p1")
	for path, operations := range doc.Paths {
		if operations["get"] == nil {
			continue
		}
		path = fill.Replace(path)
		switch {
		case path == "/v1/events":
			path += "?events=1"
		case path == "/v1/tf-files":
			path += "?run=100001"
		case strings.HasSuffix(path, ".root"): // the names in it are compressed
			silent = append(silent, path)
		case path == "/ping", path == "/v1/health", path == "/metainfo/prompt_broker":
			silent = append(silent, path)
		}
		all = append(all, path)
	}
	all = append(all, "/", "/?run=100001", "/runs", "/runs/100001", "/runs/100001/slices/bad", "/slices", "/slices?run=100001", "/slices/find?identity=bad", "/failures", "/workers",
		"/workers/p1", "/demand", "/components", "/logs", "/metrics", "/message/1/null/null/null", "/idds/message/1/null/null/null", "/idds/metainfo/prompt_broker", "/idds/ping")
	return all, append(silent, "/runs", "/slices/find?identity=bad", "/idds/metainfo/prompt_broker", "/idds/ping")
}

// fillOurs fills all that can be seen of the service's own namespace.
func (in *instance) fillOurs(t *testing.T, operator string) {
	t.Helper()
	bad, good := slice("bad"), slice("good")
	bad.Content.Filename, good.Content.Filename = mark+".stf", mark+".stf"
	failed := result("bad", &message.Failure{Name: mark + "-failure", Class: "data"})
	done := result("good", nil)
	failed.Content.Hostname, done.Content.Payload.Name, done.Content.Counts = mark+"-node", mark+"-payload", map[string]int64{mark: 1}
	h, err := json.Marshal(hist.Set{*hist.New1D(mark, "", "", 4, 0, 1)})
	must(t, err)
	done.Content.Histograms = h
	in.publish(t, message.TopicSlices, bad, good)
	in.publish(t, message.TopicResults, failed, done)
	in.publish(t, message.TopicTransformer, message.StopTransformer{MsgType: message.TypeStopTransformer, RunID: message.Run("100001"), Sender: mark + "-other", Namespace: "default"})
	in.publish(t, message.TopicEpic,
		message.RunMessage{MsgType: message.TypeStartRun, RunID: message.Run("100001"), State: "run", Substate: "physics", Sender: mark + "-daq"},
		message.TFFileRegistered{MsgType: message.TypeTFFileRegistered, RunID: message.Run("100001"), TFFilename: "f_tf_001.tf", STFFilename: mark + ".stf", TFFirst: 3, TFLast: 5, TFCount: 3, Status: "registered"})
	for _, say := range []struct{ role, path, body string }{
		{"pilot", "/v1/workers", report(t, mark)},
		{"harvester", "/v1/components", `{"name":"` + mark + `-site","role":"harvester","state":"READY"}`},
		{"harvester", "/v1/logs", `{"records":[{"component":"` + mark + `","level":"INFO","message":"` + mark + `"}]}`},
		{"operator", "/v1/tokens", `{"name":"` + mark + `","role":"viewer","namespace":"default"}`},
		{"operator", "/workflow_task", `{"workflow":{"scope":"` + mark + `","name":"n","content":{"run_id":100001,"target_worker_count":12,"site":"` + mark + `"}}}`},
		{"operator", "/message/1/null/null/null", `{"text":"` + mark + `"}`},
	} {
		token := operator
		if say.role != "operator" {
			token = in.token(t, say.role)
		}
		if status, text := in.request(t, token, http.MethodPost, say.path, say.body); status >= http.StatusMultipleChoices {
			t.Fatalf("%s: %d, %s", say.path, status, text)
		}
	}
}

// report is what a pilot of the service's own namespace says of itself.
func report(t *testing.T, host string) string {
	t.Helper()
	b, err := json.Marshal(document.WorkerReport{
		PilotID: "p1", Namespace: "default", RunID: "100001", Phase: document.WorkerRunning, At: time.Now(), StartedAt: time.Now(), HeartbeatSeconds: 3600,
		Hostname: host, Site: host, Slots: 1, InHand: []document.SliceInHand{},
	})
	must(t, err)
	return string(b)
}

func TestATokenOfOneNamespaceSeesAndChangesNothingOfAnother(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir(), "--demand-from", "workflow_task")
	operator := in.token(t, "operator")
	theirs, ours := map[string]string{}, map[string]string{}
	for _, role := range []string{"viewer", "operator", "pilot", "harvester"} {
		_, theirs[role] = in.made(t, operator, "--role", role, "--namespace", "theirs", "--name", theirMark)
		_, ours[role] = in.made(t, operator, "--role", role, "--namespace", "default", "--name", mark)
	}
	in.fillOurs(t, ours["operator"])
	all, silent := in.paths(t)
	for _, path := range all {
		looks := "viewer"
		if path == "/v1/tokens" || path == "/v1/audit" {
			looks = "operator"
		}
		until(t, path+" to tell its own namespace", func() bool {
			_, text := in.request(t, ours[looks], http.MethodGet, path, "")
			return strings.Contains(text, mark) || slices.Contains(silent, path)
		})
		for role, token := range theirs {
			for _, asked := range []string{"", "default"} {
				address := path
				if asked != "" {
					more := "?"
					if strings.Contains(path, "?") {
						more = "&"
					}
					address += more + "namespace=" + asked
				}
				if status, text := in.request(t, token, http.MethodGet, address, ""); strings.Contains(text, mark) || status >= http.StatusInternalServerError && path != "/v1/health" {
					t.Errorf("%s tells a %s of another namespace: %d, %s", address, role, status, text)
				}
			}
		}
	}

	id := ""
	_, list := in.request(t, ours["operator"], http.MethodGet, "/v1/tokens", "")
	var tokens document.Page[document.Token]
	must(t, json.Unmarshal([]byte(list), &tokens))
	for i := range tokens.Items {
		id = tokens.Items[i].ID
	}
	for _, do := range []struct{ role, method, path, body string }{
		{"pilot", http.MethodPost, "/v1/workers", report(t, theirMark)},
		{"pilot", http.MethodPost, "/v1/components", `{"name":"` + theirMark + `","role":"harvester","state":"READY","namespace":"default"}`},
		{"pilot", http.MethodPost, "/v1/logs", `{"records":[{"component":"` + theirMark + `","level":"INFO","message":"m","namespace":"default"}]}`},
		{"operator", http.MethodPost, "/v1/tokens", `{"name":"` + theirMark + `","role":"viewer","namespace":"default"}`},
		{"operator", http.MethodDelete, "/v1/tokens/" + id, ""},
		{"operator", http.MethodPost, "/workflow_task", `{"workflow":{"scope":"` + theirMark + `","name":"n","content":{"run_id":100001,"target_worker_count":99}}}`},
		{"operator", http.MethodPut, "/workflow_task/1/1/1/adjust", `{"parameters":{"num_workers":99}}`},
		{"operator", http.MethodPut, "/workflow_task/1/close", ""},
		{"operator", http.MethodPost, "/message/1/null/null/null", `{"text":"` + theirMark + `"}`},
	} {
		if status, text := in.request(t, theirs[do.role], do.method, do.path, do.body); status != http.StatusForbidden && status != http.StatusNotFound {
			t.Errorf("%s %s by a %s of another namespace: %d, %s", do.method, do.path, do.role, status, text)
		}
	}
	for _, role := range []string{"harvester", "operator"} { // whoever asks as a site has a part of the demand
		in.request(t, theirs[role], http.MethodGet, "/v1/demand?site="+theirMark+"&max_workers=1", "")
	}
	for _, path := range all {
		looks := "viewer"
		if path == "/v1/tokens" || path == "/v1/audit" {
			looks = "operator"
		}
		if _, text := in.request(t, ours[looks], http.MethodGet, path, ""); strings.Contains(text, theirMark) {
			t.Errorf("%s has what another namespace said: %s", path, text)
		}
	}
	if _, text := in.request(t, ours["viewer"], http.MethodGet, "/v1/demand", ""); !strings.Contains(text, `"wanted":12`) {
		t.Errorf("the demand is %s", text)
	}
}
