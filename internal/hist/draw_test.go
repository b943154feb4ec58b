package hist_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/internal/hist"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestH1_TextLooksAsAgreed(t *testing.T) {
	t.Parallel()
	pictures := map[string]*hist.H1{"spectrum_log": spectrum(), "spectrum_linear": spectrum(), "layers": layers(), "empty": hist.New1D("empty", "nothing yet", "ns", 20, -1, 1)}
	pictures["spectrum_log"].LogY = true
	for name, h := range pictures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := h.Text(80)
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got; rewrite with -update when it is meant)\n%s", diff)
			}
		})
	}
}

func TestH1_TextKeepsToItsWidth(t *testing.T) {
	t.Parallel()
	for _, width := range []int{-1, 40, 57, 80, 200} {
		for i, line := range strings.Split(spectrum().Text(width), "\n") {
			if n := utf8.RuneCountInString(line); i > 0 && n > max(width, 40)+2 {
				t.Errorf("width %d: line %d has %d columns", width, i, n)
			}
		}
	}
}

// Whatever the histogram holds, the drawing is well-formed, carries no NaN, and stays inside its box.
func TestH1_SVGIsWellFormed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(rt, "low")
		h := hist.New1D("h", rapid.SampledFrom([]string{"a < b & \"c\"", "η", ""}).Draw(rt, "title"), "GeV²",
			rapid.IntRange(1, 300).Draw(rt, "bins"), low, low+rapid.Float64Range(1e-6, 1e6).Draw(rt, "width"))
		h.LogY = rapid.Bool().Draw(rt, "log")
		for _, x := range rapid.SliceOf(rapid.Float64Range(h.Low, h.High)).Draw(rt, "values") {
			h.Fill(x)
		}
		svg := h.SVG(rapid.IntRange(-1, 800).Draw(rt, "w"), rapid.IntRange(-1, 600).Draw(rt, "h"))
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			rt.Fatalf("a number is none:\n%s", svg)
		}
		wellFormed(rt, svg)
		h.Text(80) // must not panic either
	})
}

func TestH1_DrawsHugeAndEmptyHistograms(t *testing.T) {
	t.Parallel()
	h := hist.New1D("h", "", "", 3, 0, 3)
	for _, c := range []float64{0, 1, 1 << 53} {
		h.Counts[1] = c
		for _, log := range []bool{false, true} {
			h.LogY = log
			wellFormed(t, h.SVG(400, 240))
			if text := h.Text(80); strings.Contains(text, "NaN") {
				t.Errorf("a number is none:\n%s", text)
			}
		}
	}
}

func wellFormed(tb rapid.TB, svg string) {
	tb.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for depth, elements := 0, 0; ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			if depth != 0 || elements < 5 {
				tb.Fatalf("%d elements, %d still open", elements, depth)
			}
			return
		}
		if err != nil {
			tb.Fatalf("%v in\n%s", err, svg)
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
			elements++
		case xml.EndElement:
			depth--
		}
	}
}

// spectrum falls exponentially over three decades.
func spectrum() *hist.H1 {
	h := hist.New1D("track_pt", "track pT", "GeV", 50, 0, 5)
	for i := range 50 {
		for range int(2000 * math.Exp(-float64(i)/7)) {
			h.Fill((float64(i) + 0.5) / 10)
		}
	}
	h.Fill(7)
	h.Fill(-1)
	h.Fill(math.NaN())
	return h
}

func layers() *hist.H1 {
	h := hist.New1D("hits_per_layer", "hits per layer", "", 6, -0.5, 5.5)
	for i := range 6 {
		for range 900 + 30*i {
			h.Fill(float64(i))
		}
	}
	return h
}
