package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

var programs = []string{"pilot", "wrapper", "harvester", "idds", "daq", "testbed"}

func TestEveryProgramHelpsAndKnowsItsVersion(t *testing.T) {
	t.Parallel()
	for _, name := range append([]string{"tfpilot-payload"}, programs...) {
		status, stdout, stderr := tool(t, name, "--help")
		if status != 0 || stderr != "" || !strings.Contains(stdout, "EXIT STATUS") {
			t.Errorf("%s --help: %d, %s%s", name, status, stdout, stderr)
		}
		if name != "tfpilot-payload" && !strings.Contains(stdout, "Examples:") {
			t.Errorf("%s --help has no example", name)
		}
		if status, stdout, _ := tool(t, name, "version"); status != 0 || strings.TrimSpace(stdout) == "" {
			t.Errorf("%s version: %d, %q", name, status, stdout)
		}
	}
}

func TestTheHelpOfEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	for _, name := range programs {
		if n := examples(t, name); n < 1 {
			t.Errorf("%s: no command", name)
		}
	}
}

// examples looks at the help of all commands below one, and counts those that do something.
func examples(t *testing.T, name string, command ...string) (n int) {
	t.Helper()
	_, help, _ := tool(t, name, append(slices.Clip(command), "--help")...)
	_, list, group := strings.Cut(help, "\nCOMMANDS:\n")
	if !group {
		if !strings.Contains(help, "Example") {
			t.Errorf("%s %s --help has no example: %s", name, strings.Join(command, " "), help)
		}
		return 1
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		below, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if below = strings.TrimSuffix(below, ","); below != "version" && below != "help" {
			n += examples(t, name, append(slices.Clip(command), below)...)
		}
	}
	return n
}

func TestThePilotShowsWhereEachOptionCameFrom(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pilot.toml")
	must(t, os.WriteFile(file, []byte("idle_timeout = \"33s\"\nwork_dir = \"/w\"\n"), 0o600))
	status, stdout, stderr := tool(t, "pilot", "config", "show", "--config", file, "--slots", "4", "--output", "json")
	var rows []struct{ Key, Value, Origin, Where string }
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || status != 0 {
		t.Fatalf("%d, %v, %s", status, err, stderr)
	}
	want := map[string][2]string{"slots": {"4", "flag"}, "idle_timeout": {"33s", "file"}, "work_dir": {"/w", "file"}, "payload": {"tfreco", "default"}}
	for _, r := range rows {
		if w, ok := want[r.Key]; ok {
			if r.Value != w[0] || r.Origin != w[1] {
				t.Errorf("%+v, want %v", r, w)
			}
			delete(want, r.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}
}

func TestAPilotThatIsTerminatedGivesItsSliceBackAndSaysSo(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	c.publish(t, slice(1))
	must(t, c.StartPilot(t.Context(), "pilot", "--run", run, "--payload", payloadFile(t, "sleep 1000"), "--drain-time", "100ms"))
	await(t, "the slice in hand", func() bool { n, _ := c.held(t); return n == 1 })
	must(t, syscall.Kill(c.PID("pilot"), syscall.SIGTERM))
	<-c.Ended("pilot")
	if res, err := c.Result("pilot"); err != nil || res.ExitCode != exitcode.Interrupted.Code || res.LeftBehind != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	workers, err := c.Client().Workers(soon(t))
	must(t, err)
	if w := workers[0]; w.Alive || w.Exit == nil || w.Exit.Name != "interrupted" || len(w.InHand) != 0 {
		t.Errorf("last word %+v", w)
	}
	// The next pilot does it, on its first delivery.
	c.runImminent(t, 1)
	c.endRun(t, 1)
	must(t, c.StartPilot(t.Context(), "next", "--run", run, "--payload", payloadFile(t, counts)))
	if got := c.check(t, document.SliceCounts{Published: 1, Done: 1}); got.Slices.Retried != 0 {
		t.Errorf("%+v", got.Slices)
	}
}

// Tokens are in the arguments of no process, in no log, and in the environment of no payload.
func TestNoSecretShowsAnywhere(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	dump := filepath.Join(t.TempDir(), "environment")
	gate := filepath.Join(t.TempDir(), "gate")
	c.runImminent(t, 1)
	must(t, c.StartHarvester(t.Context(), "--log-level", "debug", "--pilot-payload",
		payloadFile(t, "env > "+dump+"; until [ -e "+gate+" ]; do sleep 0.02; done; "+counts)))
	c.publish(t, slice(1))
	c.endRun(t, 1)
	await(t, "the payload", func() bool { _, err := os.Stat(dump); return err == nil })
	var secrets [][]byte
	for _, role := range []string{"pilot", "harvester", "operator", "viewer"} {
		b, err := os.ReadFile(c.Path(role + ".token"))
		must(t, err)
		secrets = append(secrets, bytes.TrimSpace(b))
	}
	look := func(where string, text []byte) {
		t.Helper()
		for _, s := range secrets {
			if bytes.Contains(text, s) {
				t.Errorf("a token shows in %s", where)
			}
		}
	}
	arguments := processes(t, filepath.Dir(c.Path("x")))
	if len(arguments) < 4 {
		t.Errorf("only %d processes were found", len(arguments))
	}
	for _, line := range arguments {
		look(line, []byte(line))
	}
	environment, err := os.ReadFile(dump)
	must(t, err)
	look("the payload's environment", environment)
	must(t, os.WriteFile(gate, nil, 0o600))
	c.check(t, document.SliceCounts{Published: 1, Done: 1})
	logs, err := filepath.Glob(c.Path("logs", "*.log"))
	must(t, err)
	more, err := filepath.Glob(c.Path("harvester", "jobs", "*", "*"))
	must(t, err)
	for _, file := range append(logs, more...) {
		b, err := os.ReadFile(file)
		must(t, err)
		look(file, b)
	}
}
