package iddscmd_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tfpilot/internal/message"
)

// scrape gets /metrics with the token of a file, without one when that is empty.
func (in *instance) scrape(t *testing.T, tokenFile string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.url+"/metrics", nil)
	must(t, err)
	if tokenFile != "" {
		token, err := os.ReadFile(tokenFile)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body)
}

func TestAServiceIsScrapedByWhoMayLook(t *testing.T) { //nolint:paralleltest // see command
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("s1"))
	in.publish(t, message.TopicResults, result("s1", nil))
	in.publish(t, message.TopicSlices, "junk")
	var text string
	for _, line := range []string{
		"idds_slices_done_total 1\n", `idds_messages_rejected_total{reason="junk"} 1`, "idds_broker_connected 1", "idds_broker_connections_total 1",
		`idds_healthy{part="store"} 1`, `idds_healthy{part="broker"} 1`, "idds_store_size_bytes ", `idds_run_slices{run="100001",state="done"} 1`,
		`idds_run_wanted_workers{run="100001"} `, "idds_build_info{", "go_goroutines ", "process_resident_memory_bytes ",
		`idds_http_requests_total{code="2xx",operation="GET /metrics"} `, // of a scrape before this one
	} {
		until(t, line, func() bool {
			var status int
			if status, text = in.scrape(t, in.viewer); status != http.StatusOK {
				t.Fatal(status, text)
			}
			return strings.Contains(text, "\n"+line)
		})
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s\n%s", p.Metric, p.Text, text)
	}
	for role, want := range map[string]int{"operator": http.StatusOK, "pilot": http.StatusForbidden, "": http.StatusUnauthorized} {
		file := ""
		if role != "" {
			file = in.token(t, role)
		}
		if status, text := in.scrape(t, file); status != want || want != http.StatusOK && strings.Contains(text, "idds_") {
			t.Errorf("%q: %d %.100s", role, status, text)
		}
	}
}
