package e2e_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/document"
)

// monitored is a chain that has taken a run, in which one attempt failed.
type monitored struct {
	*chain

	harvesterFile string
}

func newMonitored(t *testing.T, args ...string) monitored {
	t.Helper()
	c := newChain(t)
	m := monitored{c, filepath.Join(t.TempDir(), "harvester.prom")}
	must(t, c.StartIDDS(t.Context(), args...))
	flag := filepath.Join(t.TempDir(), "flag")
	payload := payloadFile(t, "[ -e "+flag+" ] || { touch "+flag+"; exit 1; }; "+counts)
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", payload, "--metrics-file", m.harvesterFile))
	await(t, "the harvester's file", func() bool { _, err := os.Stat(m.harvesterFile); return err == nil })
	return m
}

// play takes a run.
func (m monitored) play(t *testing.T) {
	t.Helper()
	must(t, m.StartDAQ(t.Context(), run, "--stf-count", "1", "--frames", "20", "--slices-per-sample", "4", "--target-worker-count", "1", "--time-scale", "0.1"))
}

// scrape is what Prometheus gets of idds and, through node_exporter, of the harvester.
func (m monitored) scrape(t *testing.T) string {
	t.Helper()
	status, token, text := tool(t, "idds", "token", "--state", m.Path("idds"), "viewer")
	if status != 0 {
		t.Fatal(text)
	}
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, m.IDDS+"/metrics", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	idds, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", resp.Status, idds)
	}
	harvester, err := os.ReadFile(m.harvesterFile)
	must(t, err)
	return string(idds) + string(harvester)
}

// dashboard is what of Grafana's document is looked at.
type dashboard struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Title   string `json:"title"`
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Expr       string            `json:"expr"`
			Datasource map[string]string `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "grafana", "tfpilot.json"))
	must(t, err)
	must(t, json.Unmarshal(text, &d))
	return d
}

// queries are all expressions of the dashboard as Prometheus would get them.
func (d dashboard) queries() (out []string) {
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			out = append(out, strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$site", ".*").Replace(target.Expr))
		}
	}
	return out
}

func rules(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "tfpilot.rules.yml"))
	must(t, err)
	return string(text)
}

func TestWhatDashboardAndAlertsAskForIsThere(t *testing.T) {
	t.Parallel()
	m := newMonitored(t)
	m.play(t)
	metric := regexp.MustCompile(`\b(?:idds|harvester|go|process)_[a-z_]+`)
	suffix := regexp.MustCompile(`_(bucket|count|sum)$`)
	asked := map[string]bool{}
	for line := range strings.Lines(rules(t)) {
		if strings.Contains(line, "runbook:") || strings.Contains(line, "summary:") || strings.Contains(line, "record:") {
			continue
		}
		line = regexp.MustCompile(`\binstance(_site)?:[a-z_0-9:]+`).ReplaceAllString(line, "") // recorded numbers
		for _, name := range metric.FindAllString(line, -1) {
			asked[name] = true
		}
	}
	for _, query := range readDashboard(t).queries() {
		for _, name := range metric.FindAllString(query, -1) {
			asked[name] = true
		}
	}
	if len(asked) < 50 {
		t.Fatalf("only %d names are asked for", len(asked))
	}
	defer func() {
		if len(asked) > 0 {
			t.Error("never seen: ", slices.Sorted(maps.Keys(asked)))
		}
	}()
	await(t, "every metric that is asked for", func() bool { // some are there only while the run is open, some only after it
		there := m.scrape(t)
		maps.DeleteFunc(asked, func(name string, _ bool) bool {
			return strings.Contains(there, "# TYPE "+name+" ") || strings.Contains(there, "# TYPE "+suffix.ReplaceAllString(name, "")+" histogram")
		})
		return len(asked) == 0
	})
	m.check(t, document.SliceCounts{Published: 4, Done: 4, Retried: 1})
}

func TestGrafanaCanShowTheDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.UID == "" || len(d.Panels) < 30 {
		t.Fatalf("uid %q, %d panels", d.UID, len(d.Panels))
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q: its id or title is not its own", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.X < 0 || p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s: %+v is beyond the grid", p.Title, p.GridPos)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[at]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			if target.Expr == "" || target.Datasource["uid"] != "${datasource}" {
				t.Errorf("%s: %q from %v", p.Title, target.Expr, target.Datasource)
			}
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[v[1]] {
					t.Errorf("%s: there is no variable %s", p.Title, v[1])
				}
			}
		}
	}
}
