//go:build integration

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/proc"
)

// prometheus is the folder of its programs.
func prometheus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TFPILOT_TEST_PROMETHEUS")
	if dir == "" {
		const how = "set TFPILOT_TEST_PROMETHEUS to what scripts/prometheus.sh prints"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	return dir
}

// promtool runs it on the files of docs/monitoring.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(soon(t), filepath.Join(prometheus(t), "promtool"), args...)
	cmd.Dir = filepath.Join("..", "..", "docs", "monitoring")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestIntegrationAlertsFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "--syntax-only", "prometheus.yml")
	promtool(t, "check", "rules", "tfpilot.rules.yml")
	promtool(t, "test", "rules", "tfpilot.rules_test.yml")
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "tfpilot.rules_test.yml"))
	must(t, err)
	for line := range strings.Lines(rules(t)) {
		if _, name, is := strings.Cut(line, "- alert: "); is && !strings.Contains(string(text), `alertname="`+strings.TrimSpace(name)+`"`) {
			t.Errorf("no test lets %s fire", name)
		}
	}
}

// TestIntegrationPrometheusFollowsARun has a real Prometheus scrape idds and the file of the harvester, with the rules that are shipped.
func TestIntegrationPrometheusFollowsARun(t *testing.T) {
	t.Parallel()
	m := newMonitored(t)
	status, token, text := tool(t, "idds", "token", "--state", m.Path("idds"), "viewer")
	if status != 0 {
		t.Fatal(text)
	}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, m.harvesterFile) }))
	t.Cleanup(collector.Close)
	server := startPrometheus(t, strings.TrimPrefix(m.IDDS, "http://"), strings.TrimPrefix(collector.URL, "http://"), token, rules(t))
	await(t, "both targets", func() bool { return server.value(t, `sum(up)`) == 2 })
	m.play(t)
	m.check(t, document.SliceCounts{Published: 4, Done: 4, Retried: 1})
	await(t, "the run in Prometheus", func() bool {
		return server.value(t, "sum(idds_slices_done_total)") == 4 && server.value(t, "sum(idds_attempts_failed_total)") == 1 &&
			server.value(t, "idds_data_result_latency_seconds_count") == 4 && server.value(t, "sum(harvester_workers_ended_total)") >= 1
	})
	empty := readDashboard(t).queries() // each has numbers at some time: of workers while there are some, of a run while it is open
	defer func() {
		for _, query := range empty {
			t.Error("never a number for ", query)
		}
	}()
	await(t, "numbers for the dashboard", func() bool {
		empty = slices.DeleteFunc(empty, func(query string) bool { return server.had(t, query) })
		return len(empty) == 0
	})
	checkMetrics(t, m.scrape(t))
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	n := 0
	await(t, "every rule to be looked at", func() bool {
		server.get(t, "/api/v1/rules", &rules)
		n = 0
		for _, g := range rules.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("%s: %s", r.Name, r.LastError)
				}
				if r.Health != "ok" {
					return false
				}
				n++
			}
		}
		return n > 20
	})
}

// promServer is a running Prometheus.
type promServer struct{ base string }

func startPrometheus(t *testing.T, idds, collector, token, rules string) promServer {
	t.Helper()
	program, dir := filepath.Join(prometheus(t), "prometheus"), t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "idds.token"), []byte(token), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "tfpilot.rules.yml"), []byte(strings.ReplaceAll(rules, "interval: 15s", "interval: 1s")), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [tfpilot.rules.yml]
scrape_configs:
  - {job_name: idds, authorization: {credentials_file: idds.token}, static_configs: [{targets: [%q]}]}
  - {job_name: harvester, static_configs: [{targets: [%q]}]}
`, idds, collector), 0o600))
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	addr := ln.Addr().String()
	must(t, ln.Close())
	said := proc.NewCapture(8<<10, 8<<10)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := proc.Start(ctx, proc.Command{
		Path: program, Dir: dir, Stdout: said, Stderr: said, Grace: 5 * time.Second, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir},
		Args: []string{"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + addr},
	})
	must(t, err)
	t.Cleanup(func() {
		cancel()
		_, _ = p.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", said.Bytes())
		}
	})
	s := promServer{"http://" + addr}
	await(t, "Prometheus", func() bool {
		req, err := http.NewRequestWithContext(soon(t), http.MethodGet, s.base+"/-/ready", nil)
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	return s
}

func (s promServer) get(t *testing.T, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, s.base+path, nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", path, resp.Status, body)
	}
	must(t, json.Unmarshal(body, into))
}

// checkMetrics holds names, units and help of metrics against the conventions.
func checkMetrics(t *testing.T, text string) {
	t.Helper()
	cmd := exec.CommandContext(soon(t), filepath.Join(prometheus(t), "promtool"), "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// had reports whether a query has had a number in the last minutes.
func (s promServer) had(t *testing.T, query string) bool {
	t.Helper()
	var answer struct {
		Data struct{ Result []any }
	}
	now := time.Now()
	s.get(t, "/api/v1/query_range?"+url.Values{
		"query": {query}, "start": {now.Add(-5 * time.Minute).Format(time.RFC3339)}, "end": {now.Format(time.RFC3339)}, "step": {"1s"},
	}.Encode(), &answer)
	return len(answer.Data.Result) > 0
}

// value is the first number that a query has, 0 when it has none.
func (s promServer) value(t *testing.T, query string) float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	s.get(t, "/api/v1/query?query="+url.QueryEscape(query), &answer)
	if len(answer.Data.Result) == 0 {
		return 0
	}
	var n float64
	_, err := fmt.Sscan(fmt.Sprint(answer.Data.Result[0].Value[1]), &n)
	must(t, err)
	return n
}
