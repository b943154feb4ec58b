package dashboard_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
)

// lively is a board with something of everything.
func lively() document.Board {
	at := time.Date(2026, 11, 26, 4, 5, 6, 0, time.UTC)
	half := 0.5
	total := 40
	return document.Board{
		At: at, Namespace: "epic", Health: document.Health{At: at, OK: true, Parts: []document.HealthPart{{Name: "store", OK: true}}},
		Runs: []document.BoardRun{
			{
				Run: document.Run{
					RunID: "2", State: document.RunOpen, OpenedAt: at.Add(-time.Minute), TotalSlices: &total, Counts: map[string]int64{"tracks": 12345},
					Slices:   document.SliceCounts{Published: 20, Done: 10, Failed: 1, Outstanding: 9},
					Detector: &document.Detector{State: "run", Substate: "physics"},
				},
				STFs: 1234, Waiting: 5, Running: 4, ResultsPerSecond: 2.5, Recent: document.Quantiles{N: 9, P50: 2, P95: 9.6},
				History: []document.BoardLatency{{At: at, Done: 3, P50: 1, P95: 2}}, Failures: []document.FailureCount{{Class: "data", Name: "no such file", Failed: 1}},
				Demand: &document.RunDemand{Wanted: 7}, HistogramsAt: 3,
			},
			{Run: document.Run{RunID: "1", State: document.RunClosed}},
		},
		Sites: []document.BoardSite{{Site: "bnl", Running: 3, Slots: 3, Busy: 2, Efficiency: &half}, {Site: "ornl", Starting: 1, Slots: 1}},
	}
}

func TestTheOverviewIsCompleteWithoutAScript(t *testing.T) {
	t.Parallel()
	_, text := page(t, showing(lively()), "/?reference=1")
	for _, want := range []string{
		`<a href="/runs/2">2</a>`, "run <small>physics</small>", `id="stfs">1` + "\u202f234<", `id="waiting"><a href="/slices?run=2&amp;state=outstanding">5<`, `id="running">4<`,
		`state=failed">1<`, "published of 40", `id="p95">9.6 s<`, "within 10 s", `id="rate">2.5<`, `id="workers">4<`, `id="busy">2 <small>of 4<`, `id="wanted">7<`,
		`href="/slices?class=data&amp;reason=no&#43;such&#43;file&amp;run=2"`, `<a href="/?run=1">1</a>`, `tracks <strong>12` + "\u202f345", `name="reference" value="1"`,
		`"run":"2","reference":"1","histograms_at":3`, `<noscript><meta http-equiv="refresh"`, "1.0 s</td>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestTheRunThatIsAskedForIsShownLarge(t *testing.T) {
	t.Parallel()
	if _, text := page(t, showing(lively()), "/?run=1"); !strings.Contains(text, `id="run-number"><a href="/runs/1">1</a>`) || !strings.Contains(text, "no result") {
		t.Error(text)
	}
	if _, text := page(t, showing(lively()), "/?run=<b>"); !strings.Contains(text, "Run &lt;b&gt; is not among the last runs") || strings.Contains(text, `id="run-number"`) ||
		strings.Contains(text, "No run yet") || strings.Contains(text, "no slice has failed") || !strings.Contains(text, `<a href="/?run=2">2</a>`) {
		t.Error(text)
	}
	if _, text := page(t, showing(document.Board{}), "/"); !strings.Contains(text, "No run yet") {
		t.Error(text)
	}
}

func TestWhatIsWrongIsSaidInWords(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 26, 4, 5, 6, 0, time.UTC)
	for want, spoil := range map[string]func(*document.Board){
		"broker: no connection: refused (since 04:05:06 UTC)</a> <span class=\"next\">It is tried again by itself. Does the broker run": func(b *document.Board) {
			b.Health.Parts = append(b.Health.Parts, document.HealthPart{Name: "broker", Details: "no connection: refused", Since: since})
		},
		"subscriptions: refused (since 04:05:06 UTC)": func(b *document.Board) {
			b.Health.Parts = append(b.Health.Parts, document.HealthPart{Name: "subscriptions", Details: "refused", Since: since})
		},
		"harvester farm has not been heard of since 04:05:06 UTC": func(b *document.Board) {
			b.Components = []document.Component{{Role: "harvester", Name: "farm", State: "READY", LastSeen: since}, {Role: "daq", Name: "daq", State: "EXITED"}}
		},
		"2 workers fell silent at bnl":                             func(b *document.Board) { b.Sites[0].Silent = 2 },
		"1 worker at ornl take no slices":                          func(b *document.Board) { b.Sites[1].Held = 1 },
		"5 slices of run 2 wait, and there is no worker":           func(b *document.Board) { b.Sites = nil },
		"results of run 2 come late: 5 % take longer than 45 s":    func(b *document.Board) { b.Runs[0].Recent.P95 = 45 },
		"1 slice of run 2 failed for good":                         func(*document.Board) {},
		"3 results of run 2 brought histograms that fit no others": func(b *document.Board) { b.Runs[0].Unmerged = 3 },
		"4 results of run 2 fit no slice":                          func(b *document.Board) { b.Runs[0].Slices.Unmatched = 4 },
		"3 new numbers since 04:05:06 UTC, at last for run 77": func(b *document.Board) {
			b.Unannounced = &document.BoardUnannounced{Runs: 3, RunID: "77", Since: since, LastAt: since}
		},
		"1 result of run 2 came twice, for no reason that is known": func(b *document.Board) { b.Runs[0].Slices.Unexplained = 1 },
	} {
		b := lively()
		spoil(&b)
		if _, text := page(t, showing(b), "/"); !strings.Contains(text, want) || strings.Contains(text, "All is well") {
			t.Errorf("no %q in %s", want, text)
		}
	}
	b := lively()
	b.Runs[0].Slices.Failed, b.Runs[0].Failures = 0, nil
	if _, text := page(t, showing(b), "/"); !strings.Contains(text, "All is well") {
		t.Error(text)
	}
}

func TestTheTimeToResultsIsHeldAgainstTheGoals(t *testing.T) {
	t.Parallel()
	for p95, want := range map[float64]string{10: "within 10 s", 10.1: "within 30 s", 30: "within 30 s", 30.1: "later than 30 s"} {
		b := lively()
		b.Runs[0].Recent.P95 = p95
		if _, text := page(t, showing(b), "/"); !strings.Contains(text, want) {
			t.Errorf("%g s: no %q", p95, want)
		}
	}
}

func TestOfARunThatIsOverItsSTFsCount(t *testing.T) {
	t.Parallel()
	b := lively()
	r := &b.Runs[0]
	r.Recent, r.Latency.STFComplete = document.Quantiles{}, document.Quantiles{N: 10, P50: 12, P95: 14, Max: 16}
	if _, text := page(t, showing(b), "/"); !strings.Contains(text, "no result in the last 30 s") || !strings.Contains(text, `id="p95">–<`) {
		t.Error(text)
	}
	r.State = document.RunClosed
	_, text := page(t, showing(b), "/")
	for _, want := range []string{"95 % within, for whole STFs, over the run", `id="p95">14 s<`, "within 30 s", `id="p50">12 s<`, "<dd>16 s<"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func BenchmarkOverview(b *testing.B) {
	ask := server(b, showing(lively()))
	for b.Loop() {
		ask("/")
	}
}
