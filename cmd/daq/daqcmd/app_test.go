package daqcmd_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/cmd/daq/daqcmd"
	"tfpilot/internal/program"
)

// command runs a command line. These tests are not parallel: all apps of the library share one help flag.
func command(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	app := daqcmd.App()
	app.Writer, app.ErrWriter = &out, &errs
	status = program.Run(ctx, app, append([]string{"daq"}, args...))
	return status, out.String(), errs.String()
}

func TestBadInputIsOneLineWithTheNextStep(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := []string{"run", "--broker-addr", "127.0.0.1:1", "--state", filepath.Join(dir, "state")}
	for _, c := range []struct { //nolint:paralleltest // all apps share one help flag
		name   string
		status int
		want   string
		args   []string
	}{
		{"more frames than any disk", 64, "--frames 99999999999: must be 1 to 1000000", []string{"generate", "--frames", "99999999999"}},
		{"more files than any disk", 64, "--stf-count 1000000000: must be 1 to 1000000", []string{"generate", "--stf-count", "1000000000"}},
		{"a folder that cannot be", 30, "choose another folder with --data", []string{"generate", "--data", filepath.Join(file, "x")}},
		{"a negative interval", 64, "--stf-interval", append(run, "--stf-interval", "-1s")},
		{"an interval of years", 64, "--stf-interval 10000h0m0s: must be 0 to 8760h", append(run, "--stf-interval", "10000h")},
		{"workers beyond reason", 64, "--target-worker-count 1000000: must be 1 to", append(run, "--target-worker-count", "1000000")},
		{"a time scale beyond reason", 64, "--time-scale 1e+06: must be 0 to 1000", append(run, "--time-scale", "1e6")},
		{"no steps", 64, "--steps 0: must be at least 1", []string{"plan", "--steps", "0"}},
		{"noise alone", 51, "--detector-noise 2: must be 0 to 0.9", []string{"generate", "--data", dir, "--detector-noise", "2"}},
		{"no such file", 20, "check the name of the file", []string{"inspect", filepath.Join(dir, "none")}},
		{"no file", 64, "inspect takes one FILE, not 0", []string{"inspect"}},
		{"nothing to replay", 20, "check the name after --replay", []string{"generate", "--data", dir, "--replay", filepath.Join(dir, "none")}},
		{"no events to replay", 21, "docs/time-frame-files.md says it all", append(run, "--replay", file)},
		{"frames of no events", 64, "--replay-events: must be more than 0", []string{"generate", "--replay", file, "--replay-events", "0"}},
		{"no ROOT file", 21, "name an STF file", []string{"inspect", file}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := command(t.Context(), c.args...)
			if status != c.status || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
				t.Errorf("%d: %s%s", status, stdout, stderr)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Error("a state folder was made")
	}
}

func TestAPlanMayHaveZeroWhereItMeansSomething(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, option := range []string{"--stf-count", "--seed", "--tf-files-per-stf", "--stf-sampling-rate", "--physics-period-count"} {
		if status, _, stderr := command(t.Context(), "plan", "--steps", "5", option, "0"); status != 0 {
			t.Errorf("%s: %d: %s", option, status, stderr)
		}
	}
}

func TestGeneratingStopsWhenToldToAndLeavesNoPart(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("interrupted"))
	status, _, stderr := command(ctx, "generate", "--data", dir, "--frames", "1000000", "--stf-count", "1000000")
	left, err := os.ReadDir(dir)
	if status == 0 || err != nil || len(left) != 0 || strings.Count(stderr, "writing ") != 1 {
		t.Errorf("%d: %s, left %v", status, stderr, left)
	}
}
