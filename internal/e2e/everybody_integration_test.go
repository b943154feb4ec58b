//go:build integration

package e2e_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

// vertices publishes a result that brings histograms: the second one has as many bins as is said.
func vertices(t *testing.T, c *chain, of string, bins int) {
	t.Helper()
	z, n := hist.New1D("vertex_z", "vertex z", "mm", 100, -200, 200), hist.New1D("tracks", "tracks", "", bins, 0, 40)
	for i := range 1000 {
		z.Fill(float64(i*i%397) - 198)
		n.Fill(float64(i % 40))
	}
	set, err := json.Marshal(hist.Set{*z, *n})
	must(t, err)
	publishResult(t, c, of, "done", func(r *message.ResultContent) {
		r.State, r.PilotID, r.Histograms = message.StateDone, "a-pilot", set
	})
}

// TestIntegrationEveryPageIsForEverybody examines all pages where they are hardest to use, on a phone in the dark.
func TestIntegrationEveryPageIsForEverybody(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--public-page"))
	for _, of := range []string{reference, run} {
		announceRun(t, c, of)
		vertices(t, c, of, 40)
	}
	publishResult(t, c, run, "broken", func(r *message.ResultContent) {
		r.State, r.PilotID, r.Failure = message.StateFailed, "a-pilot", &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "no range"}
	})
	now := time.Now()
	report(t, c, document.WorkerReport{
		PilotID: "a-pilot", Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: now, StartedAt: now, HeartbeatSeconds: 60, Hostname: "node", PID: 1,
		Version: "1", Slots: 2, LinkProven: true, InHand: []document.SliceInHand{{Identity: "in-hand", RunID: run, Attempt: 1, Since: now}},
	})
	b.look("dark", 390, 844, 1)
	b.open(c.IDDS + "/")
	b.until("there is something on the page", `document.querySelector(".a-failures tbody a") && document.querySelectorAll("#histograms canvas").length === 2`)
	for _, path := range []string{
		"/?reference=" + reference, "/runs", "/runs/" + run, "/runs/" + run + "/slices/broken", "/slices", "/failures", "/workers?show=all", "/workers/a-pilot", "/demand",
		"/components", "/logs", "/login", "/nothing",
	} {
		b.open(c.IDDS + path)
		b.usable(path)
		if wide := b.text("document.documentElement.scrollWidth"); wide != "390" {
			t.Errorf("%s is %s wide", path, wide)
		}
	}
}

// TestIntegrationThePageNeedsNoPointer walks through the first page with keys alone: the first stop leads past the navigation, each is to be seen,
// and none is a trap. Then it looks at a plot closely, while the next run begins.
func TestIntegrationThePageNeedsNoPointer(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--public-page"))
	announceRun(t, c, reference)
	vertices(t, c, reference, 20)
	announceRun(t, c, run)
	vertices(t, c, run, 40)
	b.look("light", 1280, 720, 1)
	b.open(c.IDDS + "/?run=" + run + "&reference=" + reference)
	b.until("histograms are there", `document.querySelectorAll("#histograms canvas").length === 2`)
	b.until("what has other bins is said", `document.getElementById("reference-note").innerText === " · dashed: run `+reference+`, scaled to as many entries · 1 has another axis there"`)
	b.screenshot("other-axis")
	press := func(keys string) {
		t.Helper()
		must(t, chromedp.Do(b.ctx, chromedp.KeyEvent(keys)))
	}
	const focused = `(() => { const e = document.activeElement; return e === document.body ? "" : (e.id || e.innerText || e.getAttribute("aria-label") || e.name || e.tagName).trim(); })()`
	stops := map[string]bool{}
	for i := range 200 {
		press("\t")
		stop := b.text(focused)
		if i == 0 && stop != "To the content" {
			t.Errorf("the first stop is %q", stop)
		}
		if stop == "" || i > 0 && stop == "To the content" { // once round
			break
		}
		stops[stop] = true
		if outline := b.text(`getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth`); outline != "solid3px" {
			t.Errorf("the focus on %q is not to be seen: %s", stop, outline)
		}
	}
	for _, want := range []string{"Control room", "theme", "history", "backlog", "Show", "vertex z", "Workers", "Failures", "What the numbers mean, and keys"} {
		if !stops[want] {
			t.Errorf("keys do not come to %q, but to %v", want, stops)
		}
	}

	b.open(c.IDDS + "/")
	b.until("histograms are there", `document.querySelectorAll("#histograms canvas").length === 2`)
	b.text(`[...document.querySelectorAll("#histograms figcaption button")].find((n) => n.innerText === "vertex z").focus()`)
	press("\r")
	b.until("it is large", `document.getElementById("large").open && document.querySelector("#large canvas") && document.activeElement.id === "large-plot"`)
	press(kb.ArrowRight + kb.ArrowRight)
	b.until("a bin is told", `document.getElementById("large-says").innerText.startsWith("-196 … -192: ")`)
	whole := b.text(largePixels)
	press("+")
	b.change("what is seen of the axis", largePixels, whole)
	part := b.text(largePixels)
	press("\t ")
	b.until("logarithmic is chosen", `document.getElementById("large-log").checked`)
	b.change("the axis", largePixels, part)
	b.screenshot("large")

	const next = "100002"
	announceRun(t, c, next)
	vertices(t, c, next, 40)
	b.until("the page has gone on", `document.getElementById("run-number").innerText.trim() === "`+next+`"`)
	b.until("what is large has gone on", `document.getElementById("large-facts").innerText.startsWith("run `+next+`: ")`)
	press(kb.Escape)
	b.until("it is closed, and one is where one was", `!document.getElementById("large").open && document.activeElement.innerText === "vertex z"`)
	if console := b.said(); len(console) > 0 {
		t.Errorf("the console has %q", console)
	}
}

// largePixels are those of the plot that is large.
const largePixels = `document.querySelector("#large canvas").toDataURL()`
