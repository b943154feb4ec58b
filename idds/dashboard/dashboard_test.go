package dashboard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tfpilot/idds/dashboard"
	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/logging"
)

// page asks for a page as a viewer of every namespace.
func page(t *testing.T, cfg dashboard.Config, path string) (status int, text string) {
	t.Helper()
	w := server(t, cfg)(path)
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "style-src 'self';") {
		t.Errorf("%s: the policy is %q", path, csp)
	}
	return w.Code, w.Body.String()
}

// server answers a viewer of every namespace.
func server(tb testing.TB, cfg dashboard.Config) func(path string) *httptest.ResponseRecorder {
	tb.Helper()
	cfg.Log = logging.Discard()
	pages, err := dashboard.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, handler := range pages.Handlers() {
		mux.Handle(pattern, handler)
	}
	ctx := access.WithPrincipal(tb.Context(), access.Principal{Name: "shifter", Role: access.Viewer})
	return func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		return w
	}
}

// showing is a page that shows one board.
func showing(b document.Board) dashboard.Config {
	return dashboard.Config{Namespace: "epic", Board: func(context.Context, string) (document.Board, error) { return b, nil }}
}

func TestOfWhatCannotBeHadThePageSaysSoAndStaysUp(t *testing.T) {
	t.Parallel()
	status, text := page(t, dashboard.Config{Board: func(context.Context, string) (document.Board, error) {
		return document.Board{}, errors.New("the disk of <b>the store</b> is full")
	}}, "/")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "the disk of &lt;b&gt;the store&lt;/b&gt; is full") || !strings.Contains(text, "<footer>") {
		t.Errorf("%d: %s", status, text)
	}
}

func TestLinksStayInTheNamespaceThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{"": `href="/"`, "?namespace=a%26b": `href="/?namespace=a%26b"`} {
		if _, text := page(t, showing(document.Board{}), "/"+asked); !strings.Contains(text, want) {
			t.Errorf("%q: no %s in %s", asked, want, text)
		}
	}
}

func TestWhoIsNotKnownIsLedToTheLogin(t *testing.T) {
	t.Parallel()
	pages, err := dashboard.New(dashboard.Config{Log: logging.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{http.StatusUnauthorized: "", http.StatusForbidden: "not of those who &lt;may&gt;", http.StatusTooManyRequests: "not of those"} {
		w := httptest.NewRecorder()
		pages.Refuse(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/slices?run=1&class=a%20b", nil), status, "not of those who <may>")
		if status == http.StatusUnauthorized {
			if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/login?next=%2Fslices%3Frun%3D1%26class%3Da%2520b" {
				t.Errorf("led to %d %s", w.Code, to)
			}
		} else if w.Code != status || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "tfpilot_8443", Value: "expired"})
	w := httptest.NewRecorder()
	pages.Refuse(w, r, http.StatusUnauthorized, "the token has expired")
	to := w.Header().Get("Location")
	w = httptest.NewRecorder()
	if pages.Login(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)); !strings.Contains(w.Body.String(), "Your login has ended") {
		t.Errorf("%s: %s", to, w.Body)
	}
	w = httptest.NewRecorder()
	pages.Login(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?refused=403&next="+url.QueryEscape(`"><script>alert(1)</script>`), nil))
	text := w.Body.String()
	if !strings.Contains(text, "one of role viewer or operator is needed") || strings.Contains(text, "<script>alert") || !strings.Contains(text, `action="/login"`) {
		t.Error(text)
	}
}

func TestThePageSaysOnTopWhichNamespaceItShows(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{"": ">epic</span></a>", "?namespace=a%26b": ">a&amp;b</span></a>"} {
		if _, text := page(t, showing(document.Board{}), "/"+asked); !strings.Contains(text, want) {
			t.Errorf("%q: no %s in %s", asked, want, text)
		}
	}
}
