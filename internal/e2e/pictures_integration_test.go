//go:build integration

package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"tfpilot/idds/top"
	"tfpilot/internal/document"
)

// reference is a run before the one that is looked at.
const reference = "100000"

// flaky is tfreco but for some slices: of one in eight the first attempt fails, of one in nine it crashes, one in seventeen has no calibration.
const flaky = `n=$(printf %%s "$TFPILOT_REQ_ID" | cksum | cut -d' ' -f1)
if [ $((n %% 17)) = 0 ]; then echo "no calibration for this STF" >&2; exit 11; fi
if [ "$TFPILOT_ATTEMPT" = 1 ]; then
	if [ $((n %% 8)) = 0 ]; then echo "the conditions database does not answer" >&2; exit 10; fi
	if [ $((n %% 9)) = 0 ]; then kill -SEGV $$; fi
fi
exec %s/tfpilot-payload tfreco`

// flakyRuns plays a run to its end, and begins another one, of which slices fail and are tried again.
func flakyRuns(t *testing.T) *chain {
	t.Helper()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--public-page"))
	must(t, os.WriteFile(c.Path("flaky.sh"), fmt.Appendf(nil, flaky, bin(t)), 0o600))
	must(t, os.WriteFile(c.Path("flaky.toml"), []byte("name = \"tfreco\"\nversion = \"1-flaky\"\nkind = \"command\"\ncommand = [\"sh\", \"${TFPILOT_PAYLOAD_DIR}/flaky.sh\"]\n"), 0o600))
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", c.Path("flaky.toml")))
	frames := []string{"--frames", "100", "--slices-per-sample", "10", "--target-worker-count", "2"}
	must(t, c.StartDAQ(t.Context(), reference, append(frames, "--stf-count", "3", "--stf-interval", "500ms")...))
	select {
	case <-c.Ended("daq"):
	case <-soon(t).Done():
		t.Fatal("the first run does not end")
	}
	must(t, c.StartDAQ(t.Context(), run, append(frames, "--stf-count", "0", "--physics-period-duration", "10m", "--stf-interval", "2s")...))
	return c
}

// TestIntegrationPicturesOfTheDocuments takes the pictures that the documents show: `make images` puts them there. What is to be seen on them is
// tested.
func TestIntegrationPicturesOfTheDocuments(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := flakyRuns(t)
	b.look("light", 1600, 900, 1)
	b.open(c.IDDS + "/?reference=" + reference)
	b.until("forty slices are done", `parseInt(document.getElementById("done")?.innerText) >= 40`)
	b.until("the reference is behind the histograms", `document.querySelectorAll("#histograms canvas").length >= 8 && document.getElementById("reference-note").innerText.includes("dashed: run `+reference+`")`)
	b.until("of a failure it is said that it was done later", `[...document.querySelectorAll(".a-failures tbody td:nth-child(3) a")].some((a) => parseInt(a.innerText) > 0)`)
	b.screenshot("control-room")
	b.look("dark", 1600, 900, 1)
	b.screenshot("control-room-dark")

	// What failed leads to a slice that another attempt has made done.
	b.look("light", 1600, 900, 1)
	b.open(c.IDDS + "/slices?run=" + run + "&class=payload&state=done")
	b.until("what it failed with is said", `document.querySelector("main tbody td:last-child")?.innerText.startsWith("attempt 1: payload_")`)
	b.follow("main tbody a")
	b.until("its attempts are there", `document.querySelector(".timeline") && document.querySelectorAll("table")[0].innerText.includes("done")`)
	b.look("light", 1600, 660, 1) // no more of it: where the files of a test are is nobody's business
	b.screenshot("slice")

	var board document.Board
	must(t, json.Unmarshal(ask(t, c, "viewer", http.MethodGet, "/v1/board", ""), &board))
	b.look("dark", 860, 450, 2)
	b.open("data:text/html;base64," + base64.StdEncoding.EncodeToString([]byte(terminal(top.Screen(top.State{Board: &board, Now: board.At, Width: 100, Height: 26, Colours: true})))))
	b.until("it is drawn", `document.querySelector("pre").innerText.includes("> `+run+`")`)
	b.screenshot("idds-top")
	c.Stop("daq")
}

// terminal shows what is written to a terminal as a page.
func terminal(text string) string {
	style := regexp.MustCompile("\x1b\\[([0-9;]*)m")
	body := style.ReplaceAllStringFunc(html.EscapeString(text), func(code string) string {
		if code == "\x1b[0m" {
			return "</span>"
		}
		return `<span class="s` + strings.ReplaceAll(style.FindStringSubmatch(code)[1], ";", "-") + `">`
	})
	return `<!DOCTYPE html><meta charset="utf-8"><title>idds top</title><style>body { margin: 0; background: #10161b; color: #dfe6eb; } pre { margin: 12px 16px; font: 13px/1.25 "DejaVu Sans Mono", monospace; }
.s1 { font-weight: bold; } .s2 { opacity: 0.65; } .s1-31 { color: #ff8a4c; font-weight: bold; } .s7 { background: #dfe6eb; color: #10161b; }</style><pre>` + body + `</pre>`
}
