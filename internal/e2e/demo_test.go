package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stf"
	"tfpilot/internal/testbed"
)

func TestTheDemoAccountsForEverySliceAndShowsThePhysics(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	report, err := testbed.Demo(soon(t), testbed.DemoConfig{Out: dir, STFs: 2, Frames: 60, Slices: 4}, bin(t), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := testbed.ReportSlices{Published: 8, Done: 8}
	if report.Slices != want || report.STFs != 2 || report.Events < 4000 || report.Tracks < 4*report.Events {
		t.Errorf("%+v", report)
	}
	var written testbed.Report
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if must(t, err); json.Unmarshal(text, &written) != nil || written.Slices != want || len(written.Pilots) != 2 {
		t.Errorf("report.json: %s", text)
	}
	histograms, err := stf.ReadHistograms(filepath.Join(dir, "histograms.root"))
	must(t, err)
	if n := histograms[0].Entries; n != float64(report.Tracks) {
		t.Errorf("%s has %g entries, there are %d tracks", histograms[0].Name, n, report.Tracks)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if must(t, err); strings.Count(string(page), "<svg") != len(histograms) || strings.Contains(string(page), "src=") {
		t.Error("report.html does not show all histograms, or needs other files")
	}
}

func TestAFailedSliceMakesTheDemoEndWithStatus2(t *testing.T) {
	t.Parallel()
	payload := filepath.Join(t.TempDir(), "fail.toml")
	must(t, os.WriteFile(payload, []byte("name = \"fail\"\nkind = \"synthetic\"\n[synthetic]\nmode = \"fail\"\npermanent = true\n"), 0o600))
	report, err := testbed.Demo(soon(t), testbed.DemoConfig{
		Out: filepath.Join(t.TempDir(), "demo"), STFs: 1, Frames: 10, Slices: 2, Payload: payload,
	}, bin(t), io.Discard)
	if exitcode.From(err) != exitcode.SliceFailed || report.Slices.Failed != 2 {
		t.Errorf("%v, %+v", err, report.Slices)
	}
}

// A killed testbed cannot end its children; they notice by the pipe that breaks.
func TestNothingSurvivesATestbedThatIsKilled(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "demo")
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin(t), "testbed"), "demo", "--out", dir, "--stfs", "50", "--frames", "50", "--slices", "10")
			must(t, cmd.Start())
			await(t, "pilots at work", func() bool { return len(processes(t, dir)) >= 7 })
			must(t, cmd.Process.Signal(sig))
			_ = cmd.Wait() // its status is the signal
			await(t, "the end of all", func() bool { return len(processes(t, dir)) == 0 })
		})
	}
}

func TestADemoLeavesAForeignFolderAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.tex")
	must(t, os.WriteFile(precious, []byte("x"), 0o600))
	status, _, stderr := tool(t, "testbed", "demo", "--out", dir)
	if _, err := os.Stat(precious); err != nil || status != 1 || !strings.Contains(stderr, "not a demo's") {
		t.Errorf("%v, status %d, %s", err, status, stderr)
	}
}

// processes are the command lines of running processes that name a folder.
func processes(tb testing.TB, dir string) []string {
	tb.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(tb, err)
	var out []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			tb.Fatal(err)
		}
		if strings.Contains(string(line), dir) {
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}
