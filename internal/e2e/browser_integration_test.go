//go:build integration

package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is a window of a real browser.
type browser struct {
	tb  testing.TB
	ctx context.Context // it is the window
	axe string

	mu      sync.Mutex
	console []string
}

// needEnv is what a variable says that scripts/chromium.sh prints.
func needEnv(tb testing.TB, name string) string {
	tb.Helper()
	value := os.Getenv(name)
	if value == "" {
		how := name + " is not set; scripts/chromium.sh prints it"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			tb.Fatal(how)
		}
		tb.Skip(how)
	}
	return value
}

func newBrowser(tb testing.TB) *browser {
	tb.Helper()
	program := needEnv(tb, "TFPILOT_TEST_CHROMIUM")
	axe, err := os.ReadFile(needEnv(tb, "TFPILOT_TEST_AXE"))
	must(tb, err)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(tb.TempDir()))
	if os.Getuid() == 0 { // as whom it does not start otherwise
		options = append(options, chromedp.NoSandbox)
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	b := &browser{tb: tb, ctx: ctx, axe: string(axe)}
	must(tb, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	messages := chromedp.Console(ctx)
	var reads sync.WaitGroup
	reads.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.console = append(b.console, string(m.Type)+": "+m.Text+" "+m.URL)
			b.mu.Unlock()
		}
	})
	tb.Cleanup(func() {
		if tb.Failed() {
			b.screenshot("failed-" + strings.ReplaceAll(tb.Name(), "/", "-"))
			tb.Logf("at %s:\n%s", b.text("location.href"), b.text("document.body.innerText"))
		}
		short, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		_ = chromedp.Cancel(short) // else it is ended the hard way
		end()
		stop()
		reads.Wait()
	})
	return b
}

// said is what the page has written to the console, and forgets it.
func (b *browser) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.console
	b.console = nil
	return said
}

func (b *browser) open(url string) {
	b.tb.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
		b.tb.Fatalf("opening %s: %v", url, err)
	}
}

// look makes the window as large as a screen, in light or dark.
func (b *browser) look(scheme string, width, height int64, scale float64) {
	b.tb.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: scale, Mobile: width < 600,
	})
	must(b.tb, err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	must(b.tb, err)
}

// screenshot is for people: TFPILOT_SCREENSHOTS is the folder, or else that of the test's artifacts.
func (b *browser) screenshot(name string) {
	folder := os.Getenv("TFPILOT_SCREENSHOTS")
	if folder == "" {
		folder = b.tb.ArtifactDir()
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
	}
	if err != nil {
		b.tb.Errorf("the screenshot %s: %v", name, err)
	}
}

// text is what an expression gives, as text.
func (b *browser) text(expression string) string {
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		return err.Error()
	}
	return s
}

// until waits for something to be true of the page, also of the one that it leads to.
func (b *browser) until(what, expression string) {
	b.tb.Helper()
	ctx := soon(b.tb)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && yes {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.tb.Fatalf("waited too long until %s", what)
		}
	}
}

// change waits until an expression gives something else than before.
func (b *browser) change(what, expression, before string) {
	b.tb.Helper()
	old, err := json.Marshal(before)
	must(b.tb, err)
	b.until(what+" changes", "String("+expression+") !== "+string(old))
}

// follow clicks on something.
func (b *browser) follow(selector string) {
	b.tb.Helper()
	must(b.tb, chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector))))
}

// usable examines the page for what keeps people from using it: with axe, and whether everything that they can act on has a name.
func (b *browser) usable(page string) {
	b.tb.Helper()
	must(b.tb, chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](b.axe)))
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.flatMap((v) => v.nodes.map((n) => v.id + " " + n.target.join(" ") + ": " + n.failureSummary + " " + n.html)))`, chromedp.EvalAwaitPromise))
	must(b.tb, err)
	for _, f := range found {
		b.tb.Errorf("%s: %s", page, f)
	}
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	must(b.tb, err)
	landmarks := map[string]bool{}
	for _, n := range tree.Nodes {
		role, name := plain(n.Role), strings.TrimSpace(plain(n.Name))
		if n.Ignored {
			continue
		}
		landmarks[role] = true
		switch role {
		case "link", "button", "textbox", "combobox", "table", "image", "img", "region", "navigation":
			if name == "" {
				b.tb.Errorf("%s: a %s has no name", page, role)
			}
		}
	}
	for _, want := range []string{"banner", "main", "contentinfo", "heading"} {
		if !landmarks[want] {
			b.tb.Errorf("%s has no %s", page, want)
		}
	}
}

// plain is a value of the accessibility tree as text.
func plain(v *accessibility.Value) string {
	var s string
	if v != nil {
		_ = json.Unmarshal(v.Value, &s) // else it is none
	}
	return s
}
