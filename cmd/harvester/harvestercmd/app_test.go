package harvestercmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/cmd/harvester/harvestercmd"
	"tfpilot/harvester"
	"tfpilot/internal/program"
	"tfpilot/internal/testkit"
)

// command runs a command line. These tests are not parallel: all apps of the library share one help flag.
func command(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	app := harvestercmd.App()
	app.Writer, app.ErrWriter = &out, &errs
	status = program.Run(ctx, app, append([]string{"harvester"}, args...))
	return status, out.String(), errs.String()
}

// idds demands so many workers for a run.
func idds(t *testing.T, demand string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(demand)) }))
	t.Cleanup(s.Close)
	return s.URL
}

func workers(t *testing.T, state string) []harvester.Worker {
	t.Helper()
	status, stdout, stderr := command(t.Context(), "workers", "--state", state, "--output", "json")
	var list []harvester.Worker
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || status != 0 {
		t.Fatalf("%d, %v: %s%s", status, err, stdout, stderr)
	}
	return list
}

func TestWhatCannotWorkIsSaidBeforeAPilotIsStarted(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, site := range []string{"a", "b"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, site), 0o700), os.WriteFile(filepath.Join(dir, site, "token"), []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "state")
	for _, c := range []struct { //nolint:paralleltest // all apps share one help flag
		name   string
		status int
		want   []string
		args   []string
	}{
		{"an address that is none", 64, []string{`--idds "ftp://x"`, "https://idds.example.org:8443"}, []string{"run", "--idds", "ftp://x"}},
		{"an empty token", 50, []string{"--token-file", "empty", "idds token --state STATE harvester"}, []string{"run", "--token-file", empty}},
		{"no token of pilots", 50, []string{"--pilot-token-file", "absent", "idds token --state STATE pilot"}, []string{"run", "--pilot-token-file", filepath.Join(dir, "absent")}},
		{"two files of one name", 51, []string{"a/token", "b/token", "rename one"}, []string{
			"run", "--system", "slurm", "--count", "1", "--pilot-ship", "--pilot-path", "/bin/sh",
			"--pilot-token-file", filepath.Join(dir, "a", "token"), "--pilot-broker-config", filepath.Join(dir, "b", "token"),
		}},
		{"no slots", 64, []string{"--pilot-slots"}, []string{"run", "--pilot-slots", "0"}},
		{"no limit", 64, []string{"--limit 0"}, []string{"workers", "--limit", "0"}},
		{"no state", 43, []string{"no harvester has worked in", "--config"}, []string{"workers", "--state", state}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := command(t.Context(), append(c.args, "--state", state)...)
			if status != c.status || strings.Count(stderr, "\n") != 1 || stdout != "" {
				t.Errorf("%d: %s%s", status, stdout, stderr)
			}
			for _, w := range c.want {
				if !strings.Contains(stderr, w) {
					t.Errorf("%q is not in %s", w, stderr)
				}
			}
		})
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("a state folder was made")
	}
}

func TestAfterAStopTheRecordSaysHowPilotsEnded(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	pilot, ready, state := filepath.Join(dir, "pilot"), filepath.Join(dir, "ready"), filepath.Join(dir, "state")
	script := "#!/bin/sh\ntrap 'exit 59' TERM\necho > " + ready + "\nwhile :; do sleep 0.01; done\n"
	if err := os.WriteFile(pilot, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	url := idds(t, `{"demands":[{"run_id":"7","namespace":"test","wanted":1}]}`)
	go func() {
		status, _, _ := command(ctx, "run", "--idds", url, "--state", state, "--pilot-path", pilot, "--interval", "10ms")
		ended <- status
	}()
	testkit.Await(t, "a pilot", func() bool { _, err := os.Stat(ready); return err == nil })
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("ended with %d", status)
	}
	for _, w := range workers(t, state) {
		if w.State != harvester.Ended || w.ExitCode != 59 || w.Reason != "interrupted" || w.EndedAt.IsZero() {
			t.Errorf("%+v", w)
		}
	}
}
