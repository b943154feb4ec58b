//go:build integration

package e2e_test

import (
	"net/url"
	"testing"
)

// points is how many the first picture of a demand on the page has.
const points = `JSON.parse(document.querySelector(".course script").textContent).length`

// TestIntegrationTheDemandOfARunIsDrawnAsItGoes plays a run and looks at what its workers do meanwhile.
func TestIntegrationTheDemandOfARunIsDrawnAsItGoes(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	b.look("light", 1920, 1080, 1)
	b.open(c.IDDS + "/login?next=%2Fdemand#token=" + url.PathEscape(readToken(t, c, "viewer")))
	b.until("no run wants anybody", `document.querySelector("main .empty")`)
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", payloadFile(t, "sleep 1; "+counts)))
	must(t, c.StartDAQ(t.Context(), run, "--stf-count", "0", "--physics-period-duration", "10m", "--frames", "30", "--slices-per-sample", "3", "--stf-interval", "1s", "--target-worker-count", "2"))
	b.until("the demand is drawn", `document.querySelectorAll(".course canvas").length === 2`)
	b.until("a worker is at work", `JSON.parse(document.querySelector(".course script").textContent).some((p) => p.busy > 0)`)
	n, picture := b.text(`String(`+points+`)`), b.text(`document.querySelector(".course canvas").toDataURL()`)
	b.until("it goes on", points+` > `+n+` + 10`)
	b.change("the picture of workers", `document.querySelector(".course canvas").toDataURL()`, picture)
	b.until("it says how many slices waited when", `(document.querySelector(".course .backlog").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"})),
		/ UTC: \d/.test(document.querySelector(".course .says").textContent))`)
	for _, scheme := range []string{"light", "dark"} {
		b.look(scheme, 1920, 1080, 1)
		b.usable("demand, " + scheme)
		b.screenshot("demand-" + scheme)
	}
	b.look("dark", 390, 844, 2)
	b.until("nothing is wider than a phone", `document.documentElement.scrollWidth <= 390`)
	b.screenshot("demand-phone")
	b.look("light", 1920, 1080, 1)
	b.open(c.IDDS + "/runs/" + run)
	b.until("the run has it, too", `document.querySelectorAll(".course canvas").length === 2`)
	b.usable("run with its demand")
	b.screenshot("run-demand")
}
