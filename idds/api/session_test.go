package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tfpilot/idds/api"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/access"
	"tfpilot/internal/logging"
)

// looks are handlers that a browser asks: one for who may look, one for operators, each of which answers with who asks.
func looks() []api.Mount {
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := access.PrincipalOf(r.Context())
		_, _ = w.Write([]byte(p.Name + "," + string(p.Role) + "," + p.Namespace))
	})
	return []api.Mount{
		{Pattern: "GET /look", Roles: []access.Role{access.Viewer, access.Operator}, Handler: tell},
		{Pattern: "POST /look", Roles: []access.Role{access.Viewer, access.Operator}, Handler: tell},
	}
}

func sessions(t *testing.T, cfg api.Config) (base string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	must(t, store.Update(t.Context(), fill))
	cfg.Mounts = looks()
	return serverOn(t, store, cfg)
}

// submit sends the form of the page to log in and returns where it leads to, and the cookie.
func submit(t *testing.T, base, token, next string) (to string, cookie *http.Cookie) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/login", strings.NewReader(url.Values{"token": {token}, "next": {next}}.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("logging in: %s", resp.Status)
	}
	for _, c := range resp.Cookies() {
		cookie = c
	}
	return resp.Header.Get("Location"), cookie
}

func TestWhoHasLoggedInLooksAndChangesNothing(t *testing.T) {
	t.Parallel()
	base := sessions(t, api.Config{})
	operator := tokenFor(t, base, access.Operator, namespace)
	to, cookie := submit(t, base, " "+operator.Secret+"\n", "/look?a=b")
	if to != "/look?a=b" || cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure {
		t.Fatalf("led to %s with %v", to, cookie)
	}
	line := cookie.Name + "=" + cookie.Value
	for path, want := range map[string]int{
		"/look": http.StatusOK, "/v1/runs": http.StatusOK, "/v1/runs?namespace=theirs": http.StatusForbidden,
		"/v1/tokens": http.StatusUnauthorized, "/v1/audit": http.StatusUnauthorized, "/metainfo/prompt_broker": http.StatusUnauthorized,
	} {
		if resp, text := request(t, http.MethodGet, base+path, "", "", "Cookie", "other=1; "+line); resp.StatusCode != want {
			t.Errorf("%s: %d, %s", path, resp.StatusCode, text)
		}
	}
	if _, text := request(t, http.MethodGet, base+"/look", "", "", "Cookie", line); text != "token/"+operator.ID+",viewer,"+namespace {
		t.Errorf("an operator looks as %s", text)
	}
	for method, path := range map[string]string{http.MethodPost: "/look", http.MethodDelete: "/v1/tokens/" + operator.ID} {
		if resp, text := request(t, method, base+path, "", "", "Cookie", line); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s by a cookie: %d, %s", method, path, resp.StatusCode, text)
		}
	}
	if resp, text := request(t, http.MethodPost, base+"/v1/tokens", "", `{"name":"n","role":"operator"}`, "Cookie", line); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token made by a cookie: %d, %s", resp.StatusCode, text)
	}
	if resp, _ := request(t, http.MethodDelete, base+"/v1/tokens/"+operator.ID, secrets[access.Operator], ""); resp.StatusCode != http.StatusOK {
		t.Fatal("not revoked")
	}
	if resp, text := request(t, http.MethodGet, base+"/look", "", "", "Cookie", line); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "revoked") {
		t.Errorf("with a revoked token: %d, %s", resp.StatusCode, text)
	}
}

func TestAPublicPageIsForEverybodyToLookAtInOneNamespace(t *testing.T) {
	t.Parallel()
	base := sessions(t, api.Config{PublicPage: true})
	for path, want := range map[string]int{
		"/look": http.StatusOK, "/v1/runs": http.StatusOK, "/v1/runs/" + run: http.StatusOK, "/v1/runs?namespace=theirs": http.StatusForbidden,
		"/v1/tokens": http.StatusUnauthorized, "/v1/audit": http.StatusUnauthorized, "/metainfo/prompt_broker": http.StatusUnauthorized,
	} {
		if resp, text := request(t, http.MethodGet, base+path, "", ""); resp.StatusCode != want {
			t.Errorf("%s: %d, %s", path, resp.StatusCode, text)
		}
	}
	if _, text := request(t, http.MethodGet, base+"/look", "", ""); text != ",viewer,"+namespace {
		t.Errorf("nobody looks as %s", text)
	}
	if resp, _ := request(t, http.MethodPost, base+"/look", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody changes: %d", resp.StatusCode)
	}
	if resp, text := request(t, http.MethodGet, base+"/look", "forged", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a bad token is no token: %d, %s", resp.StatusCode, text)
	}
	theirs := tokenFor(t, base, access.Viewer, "theirs")
	_, cookie := submit(t, base, theirs.Secret, "/")
	if _, text := request(t, http.MethodGet, base+"/look", "", "", "Cookie", cookie.Name+"="+cookie.Value); text != "token/"+theirs.ID+",viewer,theirs" {
		t.Errorf("who has logged in looks as %s", text)
	}
	if _, text := request(t, http.MethodGet, base+"/look", "", "", "Cookie", cookie.Name+"=old"); text != ",viewer,"+namespace {
		t.Errorf("who has an old cookie looks as %s", text)
	}
}

func TestWhoMayNotAskIsToldHowWhateverAnswersHim(t *testing.T) {
	t.Parallel()
	base := sessions(t, api.Config{})
	for _, path := range []string{"/look", "/v1/runs"} {
		resp, text := request(t, http.MethodGet, base+path, "", "")
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != `Bearer realm="idds"` {
			t.Errorf("%s: %d, %q, %s", path, resp.StatusCode, resp.Header.Get("WWW-Authenticate"), text)
		}
	}
}
