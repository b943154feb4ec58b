package testbed_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// report is one of a run with these slices.
func report(s document.SliceCounts, problems ...string) testbed.Report {
	h := hist.New1D("pt", "track pT", "GeV", 10, 0, 5)
	h.Fill(1)
	started := time.Now().Add(-10 * time.Second)
	return testbed.NewReport(document.RunCheck{
		Run: document.Run{RunID: "7", Slices: s, Counts: map[string]int64{"events": 5, "tracks": 9, "fakes": 4}}, Problems: problems,
	}, 2, []document.Worker{
		{WorkerReport: document.WorkerReport{
			PilotID: "b<script>", Slots: 2, StartedAt: started, Totals: document.WorkerTotals{Done: 3, WallSeconds: 10, Startups: 2, StartupSeconds: 2.5},
			Exit: &document.WorkerLastWord{Cause: "the run is over"},
		}, LastSeen: started.Add(10 * time.Second)},
		{WorkerReport: document.WorkerReport{PilotID: "a", Slots: 1, StartedAt: started}, LastSeen: started},
	}, hist.Set{*h}, 3*time.Second)
}

func TestTheVerdictIsThatOfEverySlice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		slices   document.SliceCounts
		problems []string
		want     exitcode.Failure
	}{
		{"all done", document.SliceCounts{Published: 3, Done: 3}, nil, exitcode.OK},
		{"one failed", document.SliceCounts{Published: 3, Done: 2, Failed: 1}, nil, exitcode.SliceFailed},
		{"one lost", document.SliceCounts{Published: 3, Done: 1, Failed: 1}, nil, exitcode.CheckFailed},
		{"more done than published", document.SliceCounts{Published: 1, Done: 2}, nil, exitcode.CheckFailed},
		{"nothing happened", document.SliceCounts{}, nil, exitcode.CheckFailed},
		{"books that do not add up", document.SliceCounts{Published: 1, Done: 1}, []string{"announced 2"}, exitcode.CheckFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := exitcode.From(report(c.slices, c.problems...).Verdict()); got != c.want {
				t.Errorf("got %s, want %s", got.Name, c.want.Name)
			}
		})
	}
}

func TestAReportIsWrittenForMachinesAndForPeople(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := report(document.SliceCounts{Published: 4, Done: 3, Failed: 1, Retried: 2, Absorbed: 1}, "a problem & more")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"stfs", "slices", "events", "tracks", "latency_s", "pilots", "seconds"} {
		if keys[key] == nil {
			t.Errorf("report.json has no %s", key)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Run 7", "not every slice is done", "a problem &amp; more", "b&lt;script&gt;", "<svg", "50 %", "no last word", "<b>4</b>fakes"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("report.html does not say %q", want)
		}
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "published 4 = done 3 + failed 1 + lost 0") || !strings.Contains(out.String(), "retried 2") ||
		!strings.Contains(out.String(), "fakes 4") || !strings.Contains(out.String(), "payloads started    2, in 2.5 s together") || strings.Contains(out.String(), "tracks 9") {
		t.Errorf("%v, %s", err, &out)
	}
}

func TestHitsHaveALineWhereNoEventsAreCounted(t *testing.T) {
	t.Parallel()
	for events, want := range map[int64]bool{0: true, 5: false} {
		r := testbed.NewReport(document.RunCheck{Run: document.Run{
			RunID: "7", State: document.RunClosed, Counts: map[string]int64{"frames": 20, "hits": 792, "events": events},
		}}, 1, nil, nil, time.Second)
		var out bytes.Buffer
		if err := r.Print(&out); err != nil || strings.Contains(out.String(), "hits 792") != want {
			t.Errorf("%d events: %v, %s", events, err, &out)
		}
	}
}

func TestAReportOfAnUnfinishedRunCallsNothingLostAndNoLatencyZero(t *testing.T) {
	t.Parallel()
	r := testbed.NewReport(document.RunCheck{Run: document.Run{
		RunID: "7", State: document.RunOpen, Slices: document.SliceCounts{Published: 3, Failed: 1, Outstanding: 2},
	}}, 1, nil, nil, time.Second)
	if want := (testbed.ReportSlices{Published: 3, Failed: 1, Unfinished: 2}); r.Slices != want || exitcode.From(r.Verdict()) != exitcode.CheckFailed {
		t.Errorf("%+v, %v", r.Slices, r.Verdict())
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || strings.Contains(out.String(), "0.00 s") || !strings.Contains(out.String(), "- (no result)") {
		t.Errorf("%v: %s", err, &out)
	}
	text, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"slice_result":{"n":0,"p50":null`) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestADemoThatMakesNoSenseSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := testbed.Demo(t.Context(), testbed.DemoConfig{STFs: -1, Frames: 3, Slices: 4}, t.TempDir(), &bytes.Buffer{})
	if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), "--stfs -1") || !strings.Contains(err.Error(), "--slices 4") {
		t.Errorf("got %v", err)
	}
}

func TestAMissingProgramSaysHowToBuildIt(t *testing.T) {
	t.Parallel()
	_, err := testbed.Demo(t.Context(), testbed.DemoConfig{Out: filepath.Join(t.TempDir(), "demo")}, t.TempDir(), &bytes.Buffer{})
	if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(exitcode.Next(err), "make build") {
		t.Errorf("got %v", err)
	}
}

func TestThePayloadACTSIsLookedForBesideThePrograms(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "bin")
	demo := func(c testbed.DemoConfig) error {
		c.Out = filepath.Join(t.TempDir(), "demo")
		_, err := testbed.Demo(t.Context(), c, bin, &bytes.Buffer{})
		if _, there := os.Stat(c.Out); there == nil {
			t.Error("something was started")
		}
		return err
	}
	if err := demo(testbed.DemoConfig{Payload: "acts"}); exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(exitcode.Next(err), "in a source tree") {
		t.Errorf("got %v", err)
	}
	if err := demo(testbed.DemoConfig{Replay: "none.root"}); exitcode.From(err) != exitcode.DataMissing || !strings.Contains(exitcode.Next(err), "--replay") {
		t.Errorf("got %v", err)
	}
	folder := filepath.Join(filepath.Dir(bin), "payload", "acts")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"acts.toml": "", "install": "#!/bin/sh\necho 'pip said so'\necho 'no network' >&2\nexit 3\n"} {
		program(t, filepath.Join(folder, name), text)
	}
	err := demo(testbed.DemoConfig{Payload: "acts"})
	if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(err.Error(), "installing payload acts: status 3: no network") ||
		!strings.Contains(exitcode.Next(err), filepath.Join(folder, "install")) {
		t.Errorf("got %v (%s)", err, exitcode.Next(err))
	}
}

// program writes one. Nobody forks meanwhile: a child would have the file open for writing, and it could not be started.
func program(t *testing.T, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte(text), 0o700) //nolint:gosec // a program
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAProgramThatEndsInsteadOfServingIsQuotedWithItsLastWord(t *testing.T) {
	t.Parallel()
	for said, next := range map[string]string{
		"server: the disk is full":                            exitcode.StoreFailed.Next,
		"server: the disk is full (store_failed: tidy it up)": "", // which is said once
	} {
		err := ending(t, said)
		if exitcode.From(err) != exitcode.StoreFailed || !strings.HasSuffix(err.Error(), "one ended with status 43: "+said) || exitcode.Next(err) != next {
			t.Errorf("got %v, and then %q", err, exitcode.Next(err))
		}
	}
}

// ending is the error of a program that ends with a word instead of serving.
func ending(t *testing.T, said string) error {
	t.Helper()
	bin := t.TempDir()
	program(t, filepath.Join(bin, "server"), "#!/bin/sh\necho '"+said+"' >&2\nexit 43\n")
	stack, err := testbed.NewStack(t.TempDir(), bin)
	if err != nil {
		t.Fatal(err)
	}
	defer stack.StopAll()
	if err := stack.Start(t.Context(), "one", "server", nil); err != nil {
		t.Fatal(err)
	}
	_, err = stack.Address(t.Context(), "one")
	return err
}
