package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/api"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// answer is what an answer has beside its body.
type answer struct {
	StatusCode int
	Header     http.Header
}

// request makes a request with a token and returns the answer with its body.
func request(t *testing.T, method, url, token, body string, headers ...string) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return answer{resp.StatusCode, resp.Header}, string(b)
}

// tokenFor makes a token of a role for a namespace.
func tokenFor(t *testing.T, base string, role access.Role, namespace string) document.NewToken {
	t.Helper()
	body, err := json.Marshal(document.TokenRequest{Name: "one", Role: string(role), Namespace: namespace})
	must(t, err)
	resp, text := request(t, http.MethodPost, base+"/v1/tokens", secrets[access.Operator], string(body))
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%d: %s", resp.StatusCode, text)
	}
	var made document.NewToken
	must(t, json.Unmarshal([]byte(text), &made))
	return made
}

// reading are all paths of which a run is part, with those of its slices.
var reading = []string{
	"/v1/runs", "/v1/runs/" + run, "/v1/runs/" + run + "/check", "/v1/runs/" + run + "/histograms", "/v1/runs/" + run + "/slices/s10", "/v1/slices", "/v1/files",
	"/v1/failures", "/v1/workers", "/v1/workers/p1", "/v1/actors", "/v1/demand", "/v1/slices?worker=p1", "/v1/slices?reason=data_invalid",
	"/v1/slices?run=" + run + "&filename=f.stf", "/v1/audit", "/v1/tokens", "/v1/components", "/v1/logs", "/v1/messages", "/v1/tf-files?run=" + run,
}

func TestATokenOfOneNamespaceSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		return errors.Join(tx.PutWorker(document.WorkerReport{PilotID: "p1", Namespace: namespace, RunID: run}, time.Now()),
			tx.PutActor(document.Actor{Namespace: namespace, Duty: "stop", Sender: "them"}),
			tx.PutDocument(ledger.TFFiles, document.TFFile{Namespace: namespace, Filename: "1.tf", STF: "f.stf"}, namespace, run, "f.stf", "1.tf"))
	}))
	if status, text := post(t, base, "/v1/logs", access.Pilot, document.LogBatch{Records: []document.LogRecord{{Component: "p1", Level: "INFO", Message: "f.stf"}}}); status != http.StatusOK {
		t.Fatal(text)
	}
	theirs := tokenFor(t, base, access.Operator, "theirs")
	ours := tokenFor(t, base, access.Operator, namespace)
	for _, path := range reading {
		if resp, text := request(t, http.MethodGet, base+path, ours.Secret, ""); resp.StatusCode != http.StatusOK || len(text) < 30 && !strings.Contains(path, "worker=") {
			t.Errorf("%s with a token of its namespace: %d, %s", path, resp.StatusCode, text)
		}
		resp, text := request(t, http.MethodGet, base+path, theirs.Secret, "")
		for _, secret := range []string{`"` + namespace + `"`, "f.stf", "data_invalid", ours.ID, `"p1"`, "them"} {
			if strings.Contains(text, secret) && (resp.StatusCode != http.StatusNotFound || !strings.Contains(path, "p1")) {
				t.Errorf("%s tells %s: %s", path, secret, text)
			}
		}
		more := "?"
		if strings.Contains(path, "?") {
			more = "&"
		}
		if strings.Contains(path, "demand") {
			continue
		}
		if resp, _ := request(t, http.MethodGet, base+path+more+"namespace="+namespace, theirs.Secret, ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s asked for another namespace: %d", path, resp.StatusCode)
		}
	}
	report := `{"pilot_id":"p1","namespace":"` + namespace + `","run_id":"1","phase":"running","at":"2026-01-01T00:00:00Z","started_at":"2026-01-01T00:00:00Z",
		"hostname":"h","pid":1,"version":"v","slots":1,"link_proven":true,"in_hand":[],"totals":{"done":0,"failed":0,"released":0,"held":0,"junk":0,"wall_seconds":0,"cpu_seconds":0}}`
	for method, c := range map[string][2]string{
		http.MethodPost:   {"/v1/workers", report},
		http.MethodDelete: {"/v1/tokens/" + ours.ID, ""},
	} {
		if resp, text := request(t, method, base+c[0], theirs.Secret, c[1]); resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d, %s", method, c[0], resp.StatusCode, text)
		}
	}
	wide := `{"name":"wide","role":"operator","namespace":"` + namespace + `"}`
	if resp, text := request(t, http.MethodPost, base+"/v1/tokens", theirs.Secret, wide); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a token for another namespace: %d, %s", resp.StatusCode, text)
	}
	resp, text := request(t, http.MethodPost, base+"/v1/tokens", theirs.Secret, `{"name":"every","role":"operator"}`)
	if resp.StatusCode != http.StatusCreated || !strings.Contains(text, `"namespace":"theirs"`) {
		t.Errorf("a token for every namespace: %d, %s", resp.StatusCode, text)
	}
}

func TestTheBrokersPasswordIsForPilotsOfItsNamespaceAlone(t *testing.T) {
	t.Parallel()
	base := server(t)
	for _, role := range access.Roles() {
		for ns, want := range map[string]bool{namespace: role == access.Pilot, "theirs": false} {
			token := tokenFor(t, base, role, ns).Secret
			resp, text := request(t, http.MethodGet, base+"/metainfo/prompt_broker", token, "")
			if got := strings.Contains(text, `"password":"p"`); got != want || got != (resp.StatusCode == http.StatusOK) {
				t.Errorf("%s of %s: %d, %s", role, ns, resp.StatusCode, text)
			}
		}
	}
}

func TestATokenThatIsNotGoodIsRefusedAndToldWhy(t *testing.T) {
	t.Parallel()
	base := server(t)
	revoked := tokenFor(t, base, access.Viewer, "")
	if resp, text := request(t, http.MethodDelete, base+"/v1/tokens/"+revoked.ID, secrets[access.Operator], ""); resp.StatusCode != http.StatusOK {
		t.Fatal(text)
	}
	for token, why := range map[string]string{"": "Bearer <token>", "forged": "not known", revoked.Secret: "revoked", "a.b.c": "not known"} {
		resp, text := request(t, http.MethodGet, base+"/v1/runs", token, "")
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text, why) || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d, %s", token, resp.StatusCode, text)
		}
	}
	resp, text := request(t, http.MethodGet, base+"/v1/runs", "", "", "Authorization", "Basic dXNlcjpwYXNz")
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d, %s", resp.StatusCode, text)
	}
}

func TestALifeThatIsShortIsNotForEver(t *testing.T) {
	t.Parallel()
	base := server(t)
	for _, seconds := range []string{"1e-12", "0.5", "3600"} {
		_, text := request(t, http.MethodPost, base+"/v1/tokens", secrets[access.Operator], `{"name":"short","role":"viewer","seconds":`+seconds+`}`)
		var made document.NewToken
		if must(t, json.Unmarshal([]byte(text), &made)); made.ExpiresAt.IsZero() {
			t.Errorf("%s: %s", seconds, text)
		}
	}
}

func TestAChangeLeavesALineInTheAudit(t *testing.T) {
	t.Parallel()
	base := server(t)
	made := tokenFor(t, base, access.Pilot, namespace)
	_, text := request(t, http.MethodGet, base+"/v1/audit", secrets[access.Operator], "")
	var page document.Page[document.AuditLine]
	must(t, json.Unmarshal([]byte(text), &page))
	if len(page.Items) != 1 || page.Items[0].Did != "token.create" || page.Items[0].To != made.ID || page.Items[0].From != "127.0.0.1" ||
		page.Items[0].Who != "tokens.toml/operator" || strings.Contains(text, made.Secret) {
		t.Error(text)
	}
	for _, role := range []access.Role{access.Pilot, access.Harvester, access.Viewer} {
		if resp, _ := request(t, http.MethodGet, base+"/v1/audit", secrets[role], ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", role, resp.StatusCode)
		}
	}
}

func TestWhatIsNotThereIsAProblemToo(t *testing.T) {
	t.Parallel()
	base := server(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/v1/nothing", 404},
		{http.MethodGet, "/", 404},
		{http.MethodPut, "/v1/runs", 405},
		{http.MethodPost, "/v1/runs/1/check", 405},
		{http.MethodPost, "/v1/runs", 405},
		{"TRACE", "/v1/slices", 405},
		{http.MethodGet, "/v1/runs/" + strings.Repeat("x", 201), 422},
	} {
		resp, text := request(t, c.method, base+c.path, secrets[access.Viewer], "")
		var p struct {
			Status int
			Detail string
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || resp.StatusCode != c.status || p.Status != c.status || p.Detail == "" ||
			resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d, %s", c.method, c.path, resp.StatusCode, text)
		}
		if c.status == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

func TestABrowserThatAsksForWhatIsNotThereGetsAPage(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	base := serverOn(t, store, api.Config{Mounts: []api.Mount{{
		Pattern: api.NotFoundPattern, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a page", http.StatusNotFound) }),
	}}})
	const browser = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct {
		method, path, accept string
		page                 bool
	}{
		{http.MethodGet, "/nothing", browser, true},
		{http.MethodGet, "/nothing", "application/json", false},
		{http.MethodGet, "/v1/nothing", browser, false},
		{http.MethodPost, "/nothing", browser, false},
	} {
		resp, text := request(t, c.method, base+c.path, "", "", "Accept", c.accept)
		if resp.StatusCode != http.StatusNotFound || strings.Contains(text, "a page") != c.page {
			t.Errorf("%+v: %d, %s", c, resp.StatusCode, text)
		}
	}
}

func TestWhoHasSeenAnAnswerIsToldThatItIsTheSame(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	first, _ := request(t, http.MethodGet, base+"/v1/slices", secrets[access.Viewer], "")
	tag := first.Header.Get("ETag")
	for _, seen := range []string{tag, "W/" + tag, `"other", ` + tag} {
		if resp, text := request(t, http.MethodGet, base+"/v1/slices", secrets[access.Viewer], "", "If-None-Match", seen); resp.StatusCode != http.StatusNotModified || text != "" {
			t.Errorf("%s: %d, %s", seen, resp.StatusCode, text)
		}
	}
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		return ledger.Rules{}.Lost(tx, ledger.Key{Namespace: namespace, Run: run, Identity: "s20"}, 1, "lost", time.Now())
	}))
	if resp, text := request(t, http.MethodGet, base+"/v1/slices", secrets[access.Viewer], "", "If-None-Match", tag); resp.StatusCode != http.StatusOK || !strings.Contains(text, `"waiting"`) {
		t.Errorf("after a change: %d, %s", resp.StatusCode, text)
	}
	if resp, _ := request(t, http.MethodGet, base+"/v1/slices", "", "", "If-None-Match", tag); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", resp.StatusCode)
	}
}

func TestHTMLAndSQLInNamesAreText(t *testing.T) {
	t.Parallel()
	base, store := serverAndStore(t)
	for _, name := range []string{"'; DROP TABLE slice; --", `"><script>alert(1)</script>`, "%_\\"} {
		m := message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(name), Namespace: namespace,
			Content: message.SliceContent{ReqID: message.Text(name), Filename: name, Start: message.NewInt(0), End: message.NewInt(9)},
		}
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
			_, err := ledger.Rules{}.Sent(tx, m, []byte("{}"), time.Now())
			return err
		}))
		q := strings.NewReplacer("%", "%25", " ", "%20", ";", "%3B", `"`, "%22", "<", "%3C", ">", "%3E", "\\", "%5C", "/", "%2F").Replace(name)
		for _, path := range []string{"/v1/runs/" + q, "/v1/runs/" + q + "/slices/" + q, "/v1/slices?run=" + q, "/v1/slices?run=" + q + "&filename=" + q} {
			resp, text := request(t, http.MethodGet, base+path, secrets[access.Viewer], "")
			if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(text, `"run_id"`) {
				t.Errorf("%s: %d, %s", path, resp.StatusCode, text)
			}
			if kind := resp.Header.Get("Content-Type"); kind != "application/json" {
				t.Errorf("%s is %s", path, kind)
			}
		}
		for _, field := range []string{"worker", "class", "reason", "state", "namespace", "after"} {
			if resp, text := request(t, http.MethodGet, base+"/v1/slices?"+field+"="+q, secrets[access.Viewer], ""); resp.StatusCode >= 500 {
				t.Errorf("%s: %d, %s", field, resp.StatusCode, text)
			}
		}
	}
	if resp, text := request(t, http.MethodGet, base+"/v1/runs/"+run, secrets[access.Viewer], ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the run of before: %d, %s", resp.StatusCode, text)
	}
}

func TestThePageForPeopleHasEverythingAndAsksNobodyElse(t *testing.T) {
	t.Parallel()
	base := server(t)
	resp, text := request(t, http.MethodGet, base+"/docs", "", "")
	if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d, %v", resp.StatusCode, resp.Header)
	}
	for _, words := range []string{"/v1/runs/{run}/slices/{slice}", "/v1/health", "WorkerReport", "If-None-Match", "/metainfo/prompt_broker"} {
		if !strings.Contains(text, words) {
			t.Errorf("%s is not there", words)
		}
	}
	if strings.Contains(text, "://") || strings.Contains(text, "<script") {
		t.Error("it needs somebody else, or a script")
	}
}

func TestAHundredMegabytesAreRefusedUnread(t *testing.T) {
	t.Parallel()
	base := server(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/workers", io.LimitReader(endless{}, 100<<20))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+secrets[access.Pilot])
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil { // hung up while we went on sending
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte("x"), len(b))), nil }
