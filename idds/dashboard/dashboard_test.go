package dashboard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tfpilot/idds/dashboard"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// page asks for a page as a viewer of every namespace.
func page(t *testing.T, cfg dashboard.Config, path string) (status int, text string) {
	t.Helper()
	cfg.Log = logging.Discard()
	pages, err := dashboard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, handler := range pages.Handlers() {
		mux.Handle(pattern, handler)
	}
	r := httptest.NewRequestWithContext(ledger.WithPrincipal(t.Context(), ledger.Principal{Name: "shifter", Role: ledger.RoleViewer}), http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "style-src 'self';") {
		t.Errorf("%s: the policy is %q", path, csp)
	}
	return w.Code, w.Body.String()
}

// showing is a page that shows one board.
func showing(b message.Board) dashboard.Config {
	return dashboard.Config{Namespace: "epic", Board: func(context.Context, string) (message.Board, error) { return b, nil }}
}

func TestOfWhatCannotBeHadThePageSaysSoAndStaysUp(t *testing.T) {
	t.Parallel()
	status, text := page(t, dashboard.Config{Board: func(context.Context, string) (message.Board, error) {
		return message.Board{}, errors.New("the disk of <b>the store</b> is full")
	}}, "/")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "the disk of &lt;b&gt;the store&lt;/b&gt; is full") || !strings.Contains(text, "<footer>") {
		t.Errorf("%d: %s", status, text)
	}
}

func TestLinksStayInTheNamespaceThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{"": `href="/"`, "?namespace=a%26b": `href="/?namespace=a%26b"`} {
		if _, text := page(t, showing(message.Board{}), "/"+asked); !strings.Contains(text, want) {
			t.Errorf("%q: no %s in %s", asked, want, text)
		}
	}
}
