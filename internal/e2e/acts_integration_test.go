//go:build integration

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/proc"
	"tfpilot/internal/rootfile"
	"tfpilot/internal/testbed"
	"tfpilot/payload"
)

// actsTool runs a program of payload/acts to its end.
func actsTool(tb testing.TB, script, stdin string, args ...string) (status int, stdout, stderr string) {
	tb.Helper()
	python := os.Getenv("TFPILOT_TEST_ACTS")
	if python == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		tb.Fatal("TFPILOT_TEST_ACTS is not set, and REQUIRE_SERVICES=1")
	}
	if python == "" {
		tb.Skip("set TFPILOT_TEST_ACTS to what payload/acts/install prints")
	}
	var out, errs bytes.Buffer
	res, err := proc.Run(patient(tb), proc.Command{
		Path: python, Args: append([]string{filepath.Join(actsFolder(tb), script)}, args...), Dir: tb.TempDir(), Env: os.Environ(),
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
	})
	must(tb, err)
	return res.ExitCode, out.String(), errs.String()
}

// patient is a context for what takes ten seconds on a machine that is not busy.
func patient(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 4*time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func actsFolder(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "payload", "acts"))
	must(tb, err)
	return dir
}

// actsFile is a time-frame file of replayed events, 20 in each of some frames.
func actsFile(t *testing.T, frames int, simulation ...string) string {
	t.Helper()
	return actsFileOf(t, frames, "20", simulation...)
}

// actsFileOf is one with so many in each.
func actsFileOf(tb testing.TB, frames int, events string, simulation ...string) string {
	tb.Helper()
	dir := tb.TempDir()
	library := filepath.Join(dir, "events.root")
	if status, _, stderr := actsTool(tb, "simulate.py", "", append([]string{library, "--events", strconv.Itoa(20 * frames)}, simulation...)...); status != 0 {
		tb.Fatalf("status %d: %s", status, stderr)
	}
	status, _, stderr := tool(tb, "daq", "generate", "--stf-count", "1", "--frames", strconv.Itoa(frames), "--data", dir,
		"--replay", library, "--replay-events", events)
	if status != 0 {
		tb.Fatalf("status %d: %s", status, stderr)
	}
	return filepath.Join(dir, "swf.100001.000001.stf")
}

// onceWithACTS is what the payload makes of a slice in a process of its own.
func onceWithACTS(t *testing.T, file string, first, last int) payload.Result {
	t.Helper()
	return withACTS(t, "acts-oneshot.toml", file, first, last)
}

// withACTS is what the payload of a TOML file makes of a slice, under wrapper.
func withACTS(t *testing.T, toml, file string, first, last int) payload.Result {
	t.Helper()
	status, stdout, stderr := tool(t, "wrapper", "run", "--payload", filepath.Join(actsFolder(t), toml), "--input", file,
		"--first", strconv.Itoa(first), "--last", strconv.Itoa(last), "--output", "json")
	var report payload.Result
	if status != 0 || json.Unmarshal([]byte(stdout), &report) != nil {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	return report
}

// shares are efficiency, fakes and events found, 0 to 1.
func shares(c map[string]int64) (efficiency, fakes, events float64) {
	part := func(a, b string) float64 { return float64(c[a]) / float64(c[b]) }
	return part("true_tracks_found", "true_tracks"), part("tracks_fake", "tracks"), part("true_events_found", "true_events")
}

func TestIntegrationACTSFindsEventsAndTracksAlsoFromASliceAfterAnother(t *testing.T) {
	t.Parallel()
	file := actsFile(t, 20)
	once := onceWithACTS(t, file, 5, 14)
	if efficiency, fakes, events := shares(once.Counts); efficiency < 0.95 || fakes > 0.01 || events < 0.97 || once.Counts["frames"] != 10 ||
		once.Counts["true_events"] != 200 || once.Counts["hits_in_no_event"] > once.Counts["hits"]/100 {
		t.Errorf("efficiency %.3f, fakes %.3f, events %.3f: %v", efficiency, fakes, events, once.Counts)
	}

	dir := t.TempDir()
	request := func(id string, input any, first, last int) string {
		text, err := json.Marshal(map[string]any{"req_id": id, "input": input, "first": first, "last": last, "dir": dir})
		must(t, err)
		return string(text) + "\n"
	}
	status, stdout, stderr := actsTool(t, "reconstruct.py", strings.Join([]string{
		request("a", file, 0, 1), "junk\n", request("b", file, 19, 20), request("c", "none", 0, 0), "[]\n", request("d", file, 5, 14),
	}, ""), "--serve")
	type reply struct {
		Ready   bool            `json:"ready"`
		ReqID   string          `json:"req_id"`
		Status  int             `json:"status"`
		Message string          `json:"message"`
		Result  *payload.Result `json:"result"`
	}
	var replies []reply
	for line := range strings.Lines(stdout) {
		var r reply
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		replies = append(replies, r)
	}
	if status != 0 || len(replies) != 7 || !replies[0].Ready {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	for i, want := range []reply{
		{ReqID: "a"},
		{Status: exitcode.DataInvalid.Code},
		{ReqID: "b", Status: exitcode.DataRange.Code},
		{ReqID: "c", Status: exitcode.DataMissing.Code},
		{Status: exitcode.DataInvalid.Code},
		{ReqID: "d"},
	} {
		got := replies[i+1]
		if got.ReqID != want.ReqID || got.Status != want.Status || (got.Result != nil) != (want.Status == 0) || got.Message == "" {
			t.Errorf("reply %d: %+v", i+1, got)
		}
	}
	if diff := cmp.Diff(once.Counts, withACTS(t, "acts.toml", file, 5, 14).Counts); diff != "" {
		t.Errorf("the same slice, once and as resident payload: %s", diff)
	}
	resident := replies[6].Result
	if diff := cmp.Diff(once.Counts, resident.Counts); diff != "" {
		t.Errorf("the same slice, once and resident: %s", diff)
	}
	if diff := cmp.Diff(once.Histograms, resident.Histograms); diff != "" {
		t.Errorf("the same slice, once and resident: %s", diff)
	}
	checkTracksFile(t, filepath.Join(dir, resident.Outputs[0].Name), resident)
}

// checkTracksFile holds the histograms of a slice's file against its result.
func checkTracksFile(t *testing.T, path string, result *payload.Result) {
	t.Helper()
	list, err := rootfile.ReadHistograms(path)
	must(t, err)
	for _, want := range result.Histograms {
		i := slices.IndexFunc(list, func(h *hist.H1) bool { return h.Name == want.Name })
		if i < 0 || !slices.Equal(list[i].Counts, want.Counts) {
			t.Errorf("%s differs in %s", want.Name, path)
		}
	}
	if n := result.Histograms.Find("track_pt").Entries; n != float64(result.Counts["tracks"]) {
		t.Errorf("%g tracks in the histogram, %d counted", n, result.Counts["tracks"])
	}
}

// A reconstruction that looked into the truth, or a measure that calls everything good, would not see it.
func TestIntegrationACTSIsWorseWithNoiseOnTheSensorsThatWereHit(t *testing.T) {
	t.Parallel()
	file := actsFile(t, 10, "--noise", "1", "--noise-spread", "0.05")
	efficiency, fakes, events := shares(onceWithACTS(t, file, 0, 9).Counts)
	if efficiency < 0.6 || efficiency > 0.9 || fakes < 0.1 || fakes > 0.4 || events < 0.97 {
		t.Errorf("efficiency %.3f, fakes %.3f, events %.3f", efficiency, fakes, events)
	}
}

func TestIntegrationACTSFailsOnDamageAndForeignDetectorsAsTheDataSay(t *testing.T) {
	t.Parallel()
	good := actsFile(t, 2)
	whole, err := os.ReadFile(good)
	must(t, err)
	dir := t.TempDir()
	cut, foreign := filepath.Join(dir, "cut.stf"), filepath.Join(dir, "swf.100001.000001.stf")
	must(t, os.WriteFile(cut, whole[:len(whole)/2], 0o600))
	if status, _, stderr := tool(t, "daq", "generate", "--stf-count", "1", "--frames", "2", "--data", dir); status != 0 {
		t.Fatal(stderr)
	}
	for file, want := range map[string]exitcode.Failure{cut: exitcode.DataCorrupt, foreign: exitcode.DataInvalid, dir: exitcode.DataMissing} {
		status, stdout, _ := tool(t, "wrapper", "run", "--payload", filepath.Join(actsFolder(t), "acts-oneshot.toml"), "--input", file, "--last", "1")
		if status != want.Code || !strings.Contains(stdout, file) {
			t.Errorf("%s: status %d: %s", file, status, stdout)
		}
	}
}

func TestIntegrationACTSGoesThroughTheWholeChainByTheCommandsOfItsDocument(t *testing.T) {
	t.Parallel()
	actsTool(t, "reconstruct.py", "", "--help") // is it installed?
	tree := t.TempDir()
	must(t, os.Symlink(filepath.Dir(actsFolder(t)), filepath.Join(tree, "payload")))
	must(t, os.Mkdir(filepath.Join(tree, "bin"), 0o700))
	for _, program := range []string{"testbed", "idds", "harvester", "pilot", "daq", "wrapper"} {
		copyFile(t, filepath.Join(bin(t), program), filepath.Join(tree, "bin", program)) // programs look beside themselves, not beside a link
	}
	out, err := shell(t, tree, block(t, "docs/acts.md", "sh acts"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report testbed.Report
	text, err := os.ReadFile(filepath.Join(tree, "demo-out", "report.json"))
	if must(t, err); json.Unmarshal(text, &report) != nil {
		t.Fatalf("report.json: %s", text)
	}
	if efficiency, _, _ := shares(report.Counts); report.Slices != (testbed.ReportSlices{Published: 3, Done: 3}) || efficiency < 0.95 || report.Events < 650 {
		t.Errorf("efficiency %.3f: %s", efficiency, text)
	}
	histograms, err := rootfile.ReadHistograms(filepath.Join(tree, "demo-out", "histograms.root"))
	must(t, err)
	page, err := os.ReadFile(filepath.Join(tree, "demo-out", "report.html"))
	if must(t, err); strings.Count(string(page), "<svg") != len(histograms) || len(histograms) < 10 || !strings.Contains(string(page), "true_tracks_found") {
		t.Errorf("report.html does not show %d histograms and the counts", len(histograms))
	}
}

// The first lines of Python in the page, with the packages of acts.
func TestIntegrationThePageReadsTheHitsOfASlice(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("../../wrapper/scaffold/templates/common/test/frames.stf")
	must(t, err)
	python := os.Getenv("TFPILOT_TEST_ACTS")
	if python == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		t.Fatal("TFPILOT_TEST_ACTS is not set, and REQUIRE_SERVICES=1")
	}
	if python == "" {
		t.Skip("set TFPILOT_TEST_ACTS to what payload/acts/install prints")
	}
	script := "import sys, uproot\npath, first, last = sys.argv[1], 0, 7\n" + block(t, "docs/payloads.md", "python") + "print(len(nhit), nhit.sum())\n"
	out := proc.NewCapture(4096, 4096)
	res, err := proc.Run(patient(t), proc.Command{Path: python, Args: []string{"-c", script, file}, Env: os.Environ(), Stdout: out, Stderr: out})
	must(t, err)
	if res.ExitCode != 0 || out.String() != "8 792\n" {
		t.Errorf("status %d: %s", res.ExitCode, out)
	}
}
