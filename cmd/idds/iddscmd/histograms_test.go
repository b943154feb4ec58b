package iddscmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/hist"
	"tfpilot/internal/message"
	"tfpilot/internal/rootfile"
)

func TestHistogramsAreDrawnOrWritten(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	h := hist.New1D("vertex_z", "vertex z", "cm", 20, -10, 10)
	h.Fill(1)
	pictures := func(identity string, set hist.Set) message.SliceResult {
		m := result(identity, nil)
		text, err := json.Marshal(set)
		must(t, err)
		m.Content.Histograms = text
		return m
	}
	in.publish(t, message.TopicSlices, slice("a"), slice("b"), slice("c"))
	in.ask(t, "histograms", "999").mustSay(t, 64, "no run 999", "`idds runs` lists")
	until(t, "the slices", func() bool { return strings.Contains(in.ask(t, "runs").stdout, "100001") })
	in.ask(t, "histograms", "-o", filepath.Join(t.TempDir(), "none.root"), "100001").mustSay(t, 64, "run 100001 has no histograms", "they come with the results")
	other := pictures("c", hist.Set{*hist.New1D("vertex_z", "", "", 3, 0, 1)})
	in.publish(t, message.TopicResults, pictures("a", hist.Set{*h}), pictures("b", hist.Set{*h}), pictures("b", hist.Set{*h}), other)
	var drawn output
	until(t, "two entries", func() bool {
		drawn = in.ask(t, "histograms", "100001")
		return strings.Contains(drawn.stdout, "3 slices that are done") && strings.Contains(drawn.stdout, "vertex z") // two questions, one after the other
	})
	drawn.mustSay(t, 0, "vertex z", "histograms of 1 result are not in the sum", "█")

	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	in.ask(t, "histograms", "-o", file("run.root"), "100001").mustSay(t, 0, "run.root: ")
	read, err := rootfile.ReadHistograms(file("run.root"))
	if must(t, err); len(read) != 1 || read[0].Name != "vertex_z" || read[0].Entries != 2 || read[0].Counts[11] != 2 {
		t.Errorf("%+v", read)
	}
	var doc struct{ Histograms hist.Set }
	in.ask(t, "histograms", "-o", file("run.json"), "100001").mustSay(t, 0)
	text, err := os.ReadFile(file("run.json"))
	must(t, err)
	if must(t, json.Unmarshal(text, &doc)); doc.Histograms[0].Entries != 2 {
		t.Errorf("%s", text)
	}
	in.ask(t, "histograms", "-o", file("run.svg"), "--name", "vertex_z", "100001").mustSay(t, 0)
	if text, err = os.ReadFile(file("run.svg")); err != nil || strings.Count(string(text), "<svg") != 2 {
		t.Errorf("%s, %v", text, err)
	}
	o := in.ask(t, "histograms", "--output", "json", "100001")
	if must(t, json.Unmarshal([]byte(o.stdout), &doc)); doc.Histograms[0].Entries != 2 {
		t.Errorf("%s", o.stdout)
	}
	if o = in.ask(t, "histograms", "--output", "quiet", "100001"); o.stdout != "vertex_z\n" {
		t.Errorf("%q", o.stdout)
	}
	in.ask(t, "histograms", "--name", "nope", "100001").mustSay(t, 64, `no histogram "nope"`, "--output quiet")
	in.ask(t, "histograms").mustSay(t, 64, "needs one run number")
	in.ask(t, "histograms", "-o", file("run.png"), "100001").mustSay(t, 64, ".root, .json, .svg")
	in.ask(t, "histograms", "-o", file("run.root"), "--name", "vertex_z", "100001").mustSay(t, 64, "--name")
	in.ask(t, "histograms", "-o", filepath.Join(file("run.json"), "x.json"), "100001").mustSay(t, 43, "writing", "--out")
}
