package dashboard_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tfpilot/idds/dashboard"
)

// static is a file as browsers get it.
func static(t *testing.T, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	dashboard.Static().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/static/"+path, nil))
	if w.Code != http.StatusOK {
		t.Errorf("%s: %d", path, w.Code)
	}
	return w.Body.String()
}

func TestTheEmbeddedLibraryIsTheOneThatWasFetched(t *testing.T) {
	t.Parallel()
	sums := strings.Fields(static(t, "uplot/SHA256SUMS"))
	if len(sums) != 6 {
		t.Fatalf("%d words, not three sums with their files", len(sums))
	}
	for i := 0; i < len(sums); i += 2 {
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(static(t, "uplot/"+sums[i+1])))); got != sums[i] {
			t.Errorf("%s has the sum %s; scripts/uplot.sh fetches it", sums[i+1], got)
		}
	}
}

func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"style.css", "overview.css", "pages.css", "page.js", "overview.js", "morph.js", "format.js", "draw.js", "lines.js", "demand.js", "demand.css", "histograms.js", "login.js", "theme.js"} {
		text := static(t, path)
		for _, bad := range []string{"http://", "https://", "@import", "innerHTML", "eval(", "document.write"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", path, bad)
			}
		}
	}
}
