package admission_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tfpilot/internal/access"
	"tfpilot/internal/admission"
	"tfpilot/internal/logging"
)

// holders are those of tokens, which are their roles. Of others it says err.
type holders struct {
	name string
	err  error
}

func (h holders) Identify(_ context.Context, token string) (access.Principal, error) {
	if role := access.Role(token); role.Valid() {
		return access.Principal{Name: h.name, Role: role}, nil
	}
	return access.Principal{}, h.err
}

func door(cfg admission.Config, gates ...admission.Gate) *admission.Door {
	cfg.Gates, cfg.Log, cfg.Namespace = gates, logging.Discard(), "test"
	cfg.Gates = append(cfg.Gates, holders{"ours", access.ErrUnknownToken})
	return admission.New(cfg)
}

func ask(t *testing.T, method string, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://idds.example:8443/look", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestWhoHasATokenOfOneOfTheRolesIsLetIn(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{})
	viewers := []access.Role{access.Viewer, access.Operator}
	for _, c := range []struct {
		header, value string
		roles         []access.Role
		status        int // of the refusal
	}{
		{"Authorization", "Bearer viewer", viewers, 0},
		{"Authorization", "bearer operator", viewers, 0},
		{"X-IDDS-Auth-Token", "operator", viewers, 0},
		{"Authorization", "Bearer pilot", viewers, http.StatusForbidden},
		{"Authorization", "Bearer forged", viewers, http.StatusUnauthorized},
		{"Authorization", "Basic viewer", viewers, http.StatusUnauthorized},
		{"X", "", viewers, http.StatusUnauthorized},
		{"X", "", nil, 0},
	} {
		ctx, no := d.Admit(t.Context(), ask(t, http.MethodPost, c.header, c.value), c.roles)
		if (no == nil) != (c.status == 0) || no != nil && no.Status != c.status {
			t.Errorf("%s %q: %+v", c.header, c.value, no)
		}
		if line := admission.Line(ctx); no == nil && c.roles != nil && (line.Who != "ours" || line.From != "192.0.2.1" || !line.Role.Valid()) {
			t.Errorf("%s %q: it is audited as %+v", c.header, c.value, line)
		}
	}
}

func TestATokenThatOneGateDoesNotKnowIsAnothers(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{access.ErrUnknownToken: 0, access.ErrNoIssuer: http.StatusServiceUnavailable, access.ErrNoRole: http.StatusForbidden} {
		d := door(admission.Config{}, gate(func(string) (access.Principal, error) { return access.Principal{}, err }))
		ctx, no := d.Admit(t.Context(), ask(t, http.MethodGet, "Authorization", "Bearer viewer"), access.Roles())
		if (no == nil) != (want == 0) || no != nil && no.Status != want || no == nil && access.PrincipalOf(ctx).Name != "ours" {
			t.Errorf("%v: %+v", err, no)
		}
	}
}

type gate func(token string) (access.Principal, error)

func (g gate) Identify(_ context.Context, token string) (access.Principal, error) { return g(token) }

func TestWhoComesTooOftenIsToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{RatePerSecond: 1})
	for range 100 {
		_, no := d.Admit(t.Context(), ask(t, http.MethodGet), nil)
		if no == nil {
			continue
		}
		h := http.Header{}
		if no.Hint(h.Set); no.Status != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
			t.Errorf("%+v, %v", no, h)
		}
		return
	}
	t.Error("a hundred requests at once were let in")
}

func TestACookieIsForLookingAlone(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{})
	_, cookie := login(t, d, "operator", "/")
	for method, want := range map[string]int{http.MethodGet: 0, http.MethodHead: 0, http.MethodPost: http.StatusUnauthorized, http.MethodDelete: http.StatusUnauthorized} {
		ctx, no := d.Admit(t.Context(), ask(t, method, "Cookie", "other=1; "+cookie.Name+"="+cookie.Value), access.Roles())
		if (no == nil) != (want == 0) || no != nil && no.Status != want || no == nil && access.PrincipalOf(ctx).Role != access.Viewer {
			t.Errorf("%s: %+v", method, no)
		}
	}
	if _, no := d.Admit(t.Context(), ask(t, http.MethodGet, "Cookie", cookie.Name+"="+cookie.Value), []access.Role{access.Operator}); no == nil {
		t.Error("it is good for what only operators may see")
	}
}

// login sends the form of the page to log in and returns where it leads to, and the cookie.
func login(t *testing.T, d *admission.Door, token, next string, headers ...string) (to string, cookie *http.Cookie) {
	t.Helper()
	form := strings.NewReader(url.Values{"token": {token}, "next": {next}}.Encode())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://idds.example:8443/login", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.Login(w, r)
	if w.Code != http.StatusSeeOther {
		t.Errorf("logging in: %d", w.Code)
	}
	return w.Header().Get("Location"), cookieOf(t, w)
}

// cookieOf is the one that an answer sets; nil when it sets none.
func cookieOf(t *testing.T, w *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	line := w.Header().Get("Set-Cookie")
	if line == "" {
		return nil
	}
	cookie, err := http.ParseSetCookie(line)
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

func TestNobodyLogsInWithATokenThatIsNotGood(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{})
	for token, status := range map[string]string{
		"": "401", "forged": "401", "two words": "401", "a;b": "401", "pilot": "403", "harvester": "403", strings.Repeat("x", 4000): "413",
	} {
		to, cookie := login(t, d, token, "/look")
		if u, err := url.Parse(to); err != nil || u.Path != "/login" || u.Query().Get("refused") != status || u.Query().Get("next") != "/look" || cookie != nil {
			t.Errorf("%.20q: led to %s with %v", token, to, cookie)
		}
	}
	if to, cookie := login(t, d, "viewer", "/", "Origin", "https://elsewhere.example"); cookie != nil || !strings.Contains(to, "refused=400") {
		t.Errorf("from another site: led to %s with %v", to, cookie)
	}
}

func TestWhoLogsInIsNotLedToOthers(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{})
	for _, next := range []string{"", "//elsewhere.example", "https://elsewhere.example", `/\elsewhere.example`, "elsewhere", "/login?next=/login", "javascript:alert(1)"} {
		if to, cookie := login(t, d, "viewer", next); to != "/" || cookie == nil {
			t.Errorf("next %q: led to %s", next, to)
		}
	}
	if to, _ := login(t, d, "viewer", "/look?a=b"); to != "/look?a=b" {
		t.Errorf("led to %s", to)
	}
}

func TestBehindATLSProxyTheCookieIsForTLSAlone(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{})
	for _, proto := range []string{"https", "http"} {
		if _, cookie := login(t, d, "viewer", "/", "X-Forwarded-Proto", proto); cookie.Secure != (proto == "https") || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode {
			t.Errorf("%s: %v", proto, cookie)
		}
	}
}

func TestWhoLogsOutIsForgotten(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{})
	for origin, want := range map[string]bool{"http://idds.example:8443": true, "https://elsewhere.example": false} {
		w := httptest.NewRecorder()
		d.Logout(w, ask(t, http.MethodPost, "Origin", origin))
		cookie := cookieOf(t, w)
		if forgotten := cookie != nil && cookie.MaxAge < 0; forgotten != want || w.Header().Get("Location") != "/login" {
			t.Errorf("from %s: %d, %v", origin, w.Code, cookie)
		}
	}
}

func TestAPublicPageIsForEverybodyToLookAtAsAViewerOfOneNamespace(t *testing.T) {
	t.Parallel()
	d := door(admission.Config{Public: true})
	for _, cookie := range []string{"", "tfpilot_8443=old"} {
		ctx, no := d.Admit(t.Context(), ask(t, http.MethodGet, "Cookie", cookie), access.Roles())
		if p := access.PrincipalOf(ctx); no != nil || p != (access.Principal{Role: access.Viewer, Namespace: "test"}) {
			t.Errorf("%q: %+v, %+v", cookie, p, no)
		}
	}
	if _, no := d.Admit(t.Context(), ask(t, http.MethodPost), access.Roles()); no == nil {
		t.Error("nobody in particular changes something")
	}
	if _, no := d.Admit(t.Context(), ask(t, http.MethodGet, "Authorization", "Bearer forged"), access.Roles()); no == nil {
		t.Error("a bad token is no token")
	}
}
