//go:build integration

package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

// entries is how many entries the plots of the page have, by what is written beside them.
const entries = `[...document.querySelectorAll("#histograms figcaption span")].map((s) => s.textContent).join()`

// pixels are those of the first plot.
const pixels = `document.querySelector("#histograms canvas").toDataURL()`

// TestIntegrationThePageShowsARunAsItHappens plays a run and looks at the page as a shifter does.
func TestIntegrationThePageShowsARunAsItHappens(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	b.look("light", 1920, 1080, 1)

	// Who is not known is led to the login; a link with a token logs in, and nothing of it stays in the address.
	b.open(c.IDDS + "/?run=&reference=")
	b.until("the login is there", `location.pathname === "/login" && document.getElementById("token")`)
	b.usable("login")
	b.screenshot("login")
	b.said() // that there was no cookie
	token := readToken(t, c, "viewer")
	b.open(c.IDDS + "/login?next=%2F#token=" + url.PathEscape(token))
	b.until("the page is there", `location.pathname === "/" && document.getElementById("wrong")`)
	if at := b.text("location.href"); strings.Contains(at, token) {
		t.Errorf("the token stands in the address: %s", at)
	}
	b.text(`window.same = "page"`) // what is left of it says that the page was never loaded again

	must(t, c.StartHarvester(t.Context()))
	// The run goes on until all has been seen, however slow the browser is.
	must(t, c.StartDAQ(t.Context(), run, "--stf-count", "0", "--physics-period-duration", "10m", "--frames", "30", "--slices-per-sample", "3", "--stf-interval", "1s", "--target-worker-count", "1"))
	b.until("the run is there", `document.getElementById("run-number")?.innerText.trim() === "`+run+`"`)
	b.until("a slice is done", `parseInt(document.getElementById("done").innerText) > 0`)
	b.until("a worker is there", `parseInt(document.getElementById("workers").innerText) > 0`)
	b.until("the time to results is known", `/ (s|ms)$/.test(document.getElementById("p95").innerText)`)
	b.until("histograms are there", `document.querySelectorAll("#histograms canvas").length >= 8`)
	done, n, picture := b.text(`document.getElementById("done").innerText`), b.text(entries), b.text(pixels)
	b.change("the number of slices done", `document.getElementById("done").innerText`, done)
	b.change("the number of entries", entries, n)
	b.change("the picture of a histogram", pixels, picture)
	b.until("the history has a curve", `JSON.parse(document.getElementById("plots").textContent).history.filter((h) => h.done > 0).length >= 2 && document.querySelector("#history canvas")`)
	c.Stop("daq")
	b.until("all slices are done", `document.getElementById("done").innerText.trim() === document.getElementById("published").innerText.trim()`)
	b.until("the run is closed", `document.querySelector(".a-run .badge").innerText.trim() === "closed"`)
	b.screenshot("overview-light")
	b.usable("overview, light")
	b.look("dark", 1920, 1080, 1)
	b.usable("overview, dark")
	b.screenshot("overview-dark")
	b.look("dark", 390, 844, 2)
	b.until("nothing is wider than a phone", `document.documentElement.scrollWidth <= 390`)
	b.screenshot("overview-phone")
	b.look("light", 3840, 2160, 1)
	b.screenshot("overview-wall")
	b.look("light", 1920, 1080, 1)

	// A failure is said in words and leads to its slices.
	announceRun(t, c, "100002")
	publishResult(t, c, "100002", "it", func(r *message.ResultContent) {
		r.State, r.Failure = message.StateFailed, &message.Failure{Code: 23, Name: "data_invalid", Class: "data", Message: "no range"}
	})
	b.until("the failure is said", `[...document.querySelectorAll("#wrong li")].some((l) => l.innerText.includes("1 slice of run 100002 failed for good"))`)
	b.until("the failure is there", `document.querySelector(".a-failures tbody a")?.innerText === "data_invalid"`)
	b.screenshot("overview-failure")
	if same := b.text("window.same"); same != "page" {
		t.Errorf("the page was loaded again")
	}
	b.follow(".a-failures tbody a")
	b.until("its slices are there", `location.pathname === "/slices" && document.querySelector("main tbody")?.innerText.includes("data_invalid")`)

	// idds goes and comes back: the page says so, and goes on.
	b.open(c.IDDS + "/?reference=" + run)
	b.until("the reference is named", `document.getElementById("reference-note").innerText.includes("run `+run+`")`)
	b.text(`window.same = "page"`)
	c.Stop("idds")
	b.until("the page says that it is old", `!document.getElementById("stale").hidden && /No news from idds.*for \d+ s/.test(document.getElementById("stale").innerText)`)
	b.screenshot("overview-lost")
	b.usable("overview, lost")
	must(t, c.StartIDDS(t.Context()))
	b.until("the page is fresh again", `document.getElementById("stale").hidden`)
	publishResult(t, c, "100002", "another", func(r *message.ResultContent) { r.State = message.StateDone })
	b.until("what happened since is there", `document.getElementById("done").innerText.trim() === "1"`)
	if same := b.text("window.same"); same != "page" {
		t.Errorf("the page was loaded again")
	}

	// What the script writes reads as what the server does (functions.go).
	for call, want := range map[string]string{
		"count(-1234567)": "−1\u202f234\u202f567", "count(NaN)": "–", "seconds(0.0123)": "12 ms", "seconds(9.94)": "9.9 s", "seconds(9.96)": "10 s",
		"seconds(119.6)": "2 min 00 s", "seconds(3600)": "1 h 00 min", "seconds(200000)": "2 d 7 h", "seconds(null)": "–",
	} {
		b.until("the script's words are there", `import("/static/format.js").then((m) => { window.words = m; }), window.words`)
		if got := b.text("words." + call); got != want {
			t.Errorf("%s is %q, not %q", call, got, want)
		}
	}

	// The pages behind it are no wider than a phone either: their tables scroll within.
	b.look("light", 390, 844, 2)
	for _, path := range []string{"/runs/" + run, "/slices", "/failures", "/workers", "/components", "/logs"} {
		b.open(c.IDDS + path)
		b.until(path+" is no wider than a phone", `document.documentElement.scrollWidth <= 390`)
	}
	b.look("light", 1920, 1080, 1)

	// The theme is remembered; who logs out is out.
	b.follow("#theme")
	b.follow("#theme")
	b.open(c.IDDS + "/workers")
	b.until("dark was remembered", `document.documentElement.dataset.theme === "dark"`)
	b.follow(`form[action="/logout"] button`)
	b.until("one is out", `location.pathname === "/login"`)
	b.open(c.IDDS + "/runs")
	b.until("one stays out", `location.pathname === "/login"`)

	// Whose token is revoked while he looks is led to the login too.
	made := operator(t, c, http.MethodPost, "/v1/tokens", `{"name":"a shifter","role":"viewer","namespace":"`+namespace+`"}`)
	b.open(c.IDDS + "/login#token=" + url.PathEscape(made.Secret))
	b.until("one is in", `location.pathname === "/" && document.getElementById("wrong")`)
	operator(t, c, http.MethodDelete, "/v1/tokens/"+made.ID, "")
	b.until("one is out", `location.pathname === "/login"`)
}

// evil is a name that would do something if anybody took it for HTML, a script or SQL.
const evil = `<img src=x onerror="window.owned=1"></script><script>window.owned=1</script>'; DROP TABLE slices;--`

// TestIntegrationForeignTextOnThePageIsText puts HTML and SQL into every text that others fill, and looks at all pages that show them.
func TestIntegrationForeignTextOnThePageIsText(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--public-page"))
	h := hist.New1D("h"+evil, evil, evil, 4, 0, 4)
	h.Fill(1)
	set, err := json.Marshal(hist.Set{*h})
	must(t, err)
	announceRun(t, c, evil)
	publishResult(t, c, evil, "s"+evil, func(r *message.ResultContent) {
		r.PilotID, r.Hostname, r.Payload, r.Histograms = evil, evil, &message.PayloadIdentity{Name: evil, Version: evil}, set
		r.Counts, r.State = map[string]int64{evil: 3}, message.StateDone
	})
	publishResult(t, c, evil, "f"+evil, func(r *message.ResultContent) {
		r.PilotID, r.State = evil, message.StateFailed
		r.Failure = &message.Failure{Code: 99, Name: evil, Class: evil, Message: evil}
	})
	report(t, c, document.WorkerReport{
		PilotID: evil, Namespace: namespace, RunID: evil, Phase: document.WorkerRunning, At: time.Now(), StartedAt: time.Now(), HeartbeatSeconds: 60,
		Hostname: evil, PID: 1, Version: evil, Slots: 1, LinkProven: true, InHand: []document.SliceInHand{{Identity: "s" + evil, RunID: evil, Attempt: 1, Since: time.Now()}},
		Hold: evil, BatchSystem: evil, BatchID: evil, WorkerID: evil, Site: evil,
		Slot: &document.Slot{Facts: []document.SlotFact{{Name: evil, Value: evil, Source: evil}}},
	})
	b.open(c.IDDS + "/")
	b.until("the run is there", `document.getElementById("run-number")?.innerText.includes("DROP TABLE")`)
	b.until("a histogram is there", `document.querySelector("#histograms figcaption")?.innerText.includes("DROP TABLE")`)
	b.until("the failure is there", `document.querySelector(".a-failures tbody a")?.innerText.includes("DROP TABLE")`)
	b.until("the worker is there", `document.querySelector(".a-workers tbody")?.innerText.includes("DROP TABLE")`)
	b.until("it was refreshed", `performance.getEntriesByType("resource").some((r) => r.initiatorType === "fetch" && new URL(r.name).pathname === "/")`)
	b.said()
	visited := map[string]bool{}
	next := []string{c.IDDS + "/"}
	for len(next) > 0 && len(visited) < 40 {
		at := next[0]
		next = next[1:]
		key, _, _ := strings.Cut(at, "#")
		if visited[key] {
			continue
		}
		visited[key] = true
		b.open(at)
		for what, is := range map[string]string{
			"window.owned": "undefined", `document.querySelectorAll('img[src="x"]').length`: "0", `document.querySelectorAll("body script").length <= 1`: "true",
		} {
			if got := b.text(what); got != is {
				t.Errorf("%s: %s is %s", at, what, got)
			}
		}
		if status := b.text(`performance.getEntriesByType("navigation")[0].responseStatus`); status != "200" {
			t.Errorf("%s: %s", at, status)
		}
		var links []string
		must(t, json.Unmarshal([]byte(b.text(`JSON.stringify([...document.querySelectorAll("main a[href], nav a[href]")].map((a) => a.href))`)), &links))
		for _, l := range links {
			if u, err := url.Parse(l); err == nil && "http://"+u.Host == c.IDDS && !strings.HasPrefix(u.Path, "/v1") && !strings.HasPrefix(u.Path, "/docs") {
				next = append(next, l)
			}
		}
	}
	if len(visited) < 10 {
		t.Errorf("only %d pages were found", len(visited))
	}
	for _, line := range b.said() {
		t.Errorf("the console has %s", line)
	}
}

// publishResult sends a result that no pilot has made.
func publishResult(t *testing.T, c *chain, of, identity string, edit func(*message.ResultContent)) {
	t.Helper()
	m := slice(1, func(s *message.SliceContent) { s.ReqID, s.RunID = message.Text(identity), message.Run(of) })
	copied, err := m.Content.Copy()
	must(t, err)
	r := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run(of), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.ResultContent{RequestedAt: m.CreatedAt, ReqID: m.Content.ReqID, Attempt: m.Content.Attempt, PilotID: "by-hand"},
	}
	edit(&r.Content)
	r.Content.Result = message.Outcome{State: r.Content.State == message.StateDone, Result: copied}
	body, err := json.Marshal(r)
	must(t, err)
	must(t, c.link.Publish(soon(t), broker.Out{
		Destination: message.TopicResults, Body: body,
		Headers: []string{"persistent", "true", "msg_type", message.TypeSliceResult, "namespace", namespace},
	}))
}

// announceRun lets a run be known: results alone make none.
func announceRun(t *testing.T, c *chain, of string) {
	t.Helper()
	c.announce(t, message.TypeRunImminentWorker, message.RunImminentWorker{
		MsgType: message.TypeRunImminentWorker, RunID: message.Run(of), CreatedAt: message.At(time.Now()), Namespace: namespace,
	})
}

// report is what a pilot says of itself.
func report(t *testing.T, c *chain, r document.WorkerReport) {
	t.Helper()
	body, err := json.Marshal(r)
	must(t, err)
	ask(t, c, "pilot", http.MethodPost, "/v1/workers", string(body))
}

// operator makes or revokes a token.
func operator(t *testing.T, c *chain, method, path, body string) (made document.NewToken) {
	t.Helper()
	must(t, json.Unmarshal(ask(t, c, "operator", method, path, body), &made))
	return made
}

// ask asks idds with the token of a role.
func ask(t *testing.T, c *chain, role, method, path, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), method, c.IDDS+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+readToken(t, c, role))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s, %s", method, path, resp.Status, text)
	}
	return text
}

// readToken is a token of a role.
func readToken(t *testing.T, c *chain, role string) string {
	t.Helper()
	return strings.TrimSpace(readFile(t, c.Path(role+".token")))
}
