package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rootfile"
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
	histograms, err := rootfile.ReadHistograms(filepath.Join(dir, "histograms.root"))
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
		Out: filepath.Join(t.TempDir(), "demo"), STFs: 1, Frames: 3, Slices: 2, Payload: payload,
	}, bin(t), io.Discard)
	if exitcode.From(err) != exitcode.SliceFailed || report.Slices.Failed != 2 {
		t.Errorf("%v, %+v", err, report.Slices)
	}
	if f := report.Failures; len(f) != 1 || f[0].Slices != 2 || f[0].Name != "payload_permanent" || f[0].Message == "" || exitcode.Next(err) != exitcode.PayloadPermanent.Next {
		t.Errorf("the report does not say why: %+v, %v", f, err)
	}
}

func TestADemoSaysWhyNoPilotCanStart(t *testing.T) {
	t.Parallel()
	programs, dir := t.TempDir(), filepath.Join(t.TempDir(), "a, b")
	for _, name := range []string{"testbed", "idds", "daq", "tfpilot-payload"} {
		must(t, os.Symlink(filepath.Join(bin(t), name), filepath.Join(programs, name)))
	}
	must(t, os.WriteFile(filepath.Join(programs, "pilot"), []byte("#!/bin/sh\necho 'pilot: wrong in every way' >&2\nexit 64\n"), 0o700))
	// Harvester starts the pilot beside itself, so it cannot be a link.
	copyFile(t, filepath.Join(bin(t), "harvester"), filepath.Join(programs, "harvester"))
	_, err := testbed.Demo(soon(t), testbed.DemoConfig{Out: dir, STFs: 1, Frames: 10, Slices: 2}, programs, io.Discard)
	if exitcode.From(err) != exitcode.CheckFailed || !strings.Contains(err.Error(), "status 64: pilot: wrong in every way") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "report.html")); err != nil {
		t.Errorf("no report of what there was: %v", err)
	}
}

// The limit ends a run that does not end, with a report of what there is; the payload's file is found from where the user is.
func TestADemoPastItsLimitReportsWhatThereIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "p.toml"), []byte("name = \"p\"\nkind = \"synthetic\"\n[synthetic]\nmode = \"sleep\"\nduration = \"1h\"\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin(t), "testbed"), "demo", "--out", "a,b", "--payload", "p.toml", "--stfs", "1", "--frames", "10",
		"--slices", "2", "--limit", "4s", "--output", "quiet")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "not over after 4s") {
		t.Errorf("%v: %s", err, out)
	}
	var report testbed.Report
	text, err := os.ReadFile(filepath.Join(dir, "a,b", "report.json"))
	if must(t, err); json.Unmarshal(text, &report) != nil || report.Slices.Done != 0 || report.Slices.Lost != 0 || report.Slices.Unfinished != report.Slices.Published {
		t.Errorf("report.json: %s", text)
	}
}

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	b, err := os.ReadFile(from)
	must(tb, err)
	must(tb, os.RemoveAll(to))
	must(tb, os.WriteFile(to, b, 0o700))
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
	if _, err := os.Stat(precious); err != nil || status != 64 || !strings.Contains(stderr, "not a testbed's") {
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

func TestAFolderThatCannotBeUsedHasItsOwnStatus(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if status, _, stderr := tool(t, "testbed", "demo", "--out", filepath.Join(file, "out")); status != exitcode.StoreFailed.Code || strings.Count(stderr, "not a directory") != 1 {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestADemoThatIsKeptCanBeLookedAtUntilItIsEnded(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(soon(t))
	pages := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		_, err := testbed.Demo(ctx, testbed.DemoConfig{
			Out: filepath.Join(t.TempDir(), "kept"), STFs: 1, Frames: 20, Slices: 2, Keep: true,
			Show: func(r testbed.Report) error { pages <- r.Page; return nil },
		}, bin(t), io.Discard)
		ended <- err
	}()
	look := func(url string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, ""
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(text)
	}
	var page string
	select {
	case page = <-pages:
	case err := <-ended:
		t.Fatal(err)
	}
	if status, text := look(page); status != http.StatusOK || !strings.Contains(text, "100001") {
		t.Errorf("without a token: %d, %.500s", status, text)
	}
	end()
	must(t, <-ended)
	if status, _ := look(page); status != 0 {
		t.Error("still there")
	}
}
