package pilotcmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tfpilot/cmd/pilot/pilotcmd"
	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
	"tfpilot/pilot"
	"tfpilot/pilot/journal"
)

// command runs a command line. These tests are not parallel: all apps of the library share one help flag.
func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	app := pilotcmd.App()
	app.Writer, app.ErrWriter = &out, &errs
	status = program.Run(t.Context(), app, append([]string{"pilot"}, args...))
	return status, out.String(), errs.String()
}

func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broker.toml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// example is the broker configuration of docs/operations/slot.md, with a broker that nobody runs.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations/slot.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```toml broker-config\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("docs/operations/slot.md has no example of a broker configuration")
	}
	return strings.NewReplacer("broker1.example.org:61613", "127.0.0.1:1", "broker2.example.org:61613", "127.0.0.1:2").Replace(code)
}

// start runs a pilot on a broker configuration for a moment.
func start(t *testing.T, config string, args ...string) (status int, stderr string) {
	t.Helper()
	status, _, stderr = command(t, append([]string{
		"run", "--broker-config", config, "--broker-timeout", "50ms", "--payload", "noop", "--work-dir", t.TempDir(), "--journal-dir", t.TempDir(),
	}, args...)...)
	return status, stderr
}

func TestTheBrokerConfigurationOfTheGuideIsReadAndItsBrokerWaitedFor(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	status, stderr := start(t, file(t, example(t), 0o600))
	if status != 40 || !strings.Contains(stderr, "no broker for 50ms") || strings.Contains(stderr, "secret") {
		t.Errorf("%d: %s", status, stderr)
	}
}

func TestAWrongBrokerConfigurationSaysWhatAndWhere(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	good := example(t)
	for _, c := range []struct { //nolint:paralleltest // all apps share one help flag
		name, text, want string
		mode             os.FileMode
		status           int
	}{
		{"unknown key", strings.Replace(good, "username", "user", 1), `:4: unknown key "transformer_broker.user"`, 0o600, 64},
		{"no results", strings.Split(good, "[result_broker]")[0], "result_broker: destination missing", 0o600, 51},
		{"another broker for results", good + `brokers = ["127.0.0.1:3"]`, "result_broker: other brokers", 0o600, 51},
		{"no broker", "[transformer_broker]\ndestination = \"/queue/x\"\n", "transformer_broker: brokers missing", 0o600, 51},
		{"no port", strings.Replace(good, "127.0.0.1:1", "broker1", 1), `"broker1" is not host:port`, 0o600, 51},
		{"a password for all to read", good, "holds a password and is readable by others", 0o644, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stderr := start(t, file(t, c.text, c.mode))
			if status != c.status || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "secret\"") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%d: %s", status, stderr)
			}
		})
	}
}

func TestOptionsThatMakeNoSenseAreRefusedByName(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, args := range [][]string{
		{"--slots", "0"},
		{"--slots", "-2"},
		{"--slots", "5000"},
		{"--idle-timeout", "0"},
		{"--idle-timeout", "-1s"},
		{"--heartbeat", "0s"},
		{"--max-releases", "0"},
		{"--broker-timeout", "-1s"},
		{"--idds", "ftp://x"},
		{"--output", "xml"},
	} {
		for _, before := range [][]string{{"config", "show"}, {"run", "--broker-config", "none"}} {
			if before[0] == "run" && args[0] == "--output" || before[0] == "config" && args[0] == "--idds" {
				continue
			}
			status, stdout, stderr := command(t, append(before, args...)...)
			if status != 64 || !strings.Contains(stderr, args[0]) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%v %v: %d: %s%s", before, args, status, stdout, stderr)
			}
			if before[0] == "config" && stdout != "" || before[0] == "run" && lastWords(t, stdout).Exit.Code != status {
				t.Errorf("%v %v printed %s", before, args, stdout)
			}
		}
	}
}

// lastWords are what a pilot printed: one line.
func lastWords(t *testing.T, stdout string) document.WorkerReport {
	t.Helper()
	var w document.WorkerReport
	if err := json.Unmarshal([]byte(stdout), &w); err != nil || strings.Count(stdout, "\n") != 1 || w.Phase != document.WorkerEnded || w.Exit == nil {
		t.Fatalf("%v: %q are no last words", err, stdout)
	}
	return w
}

func TestConfigShowHasAllThreeFormats(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for format, want := range map[string]string{"table": "OPTION", "json": `"key": "slots"`, "quiet": "run\nnamespace\nslots\n"} {
		status, stdout, stderr := command(t, "config", "show", "--output", format, "--broker-timeout", "0")
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: %d: %s%s", format, status, stdout, stderr)
		}
	}
}

// Two users may have their pilots in one temporary folder, and a namespace may be called anything.
func TestPilotsOfTwoUsersDoNotShareAJournal(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	work := t.TempDir()
	for _, namespace := range []string{"", "../a/b"} {
		status, _, stderr := command(t, "run", "--broker-config", file(t, example(t), 0o600), "--broker-timeout", "50ms", "--payload", "noop",
			"--work-dir", work, "--namespace", namespace)
		if status != 40 {
			t.Errorf("%d: %s", status, stderr)
		}
	}
	var made []string
	entries, err := os.ReadDir(work)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		made = append(made, e.Name())
	}
	of := fmt.Sprintf("tfpilot-journal-%d-", os.Getuid())
	if want := []string{of + "%2E.%2Fa%2Fb", of + "none"}; !slices.Equal(made, want) {
		t.Errorf("%q, want %q", made, want)
	}
}

func TestAJournalAtItsFormerPlaceIsTakenOver(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	work := t.TempDir()
	former := filepath.Join(work, "tfpilot-journal-epic")
	j, err := journal.Open(former, false, logging.Discard())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(j.Outcome(pilot.JournalKey{Run: "7", Identity: "a", Attempt: 1}, true, []byte("result")), j.Close())
	if err != nil {
		t.Fatal(err)
	}
	status, _, stderr := command(t, "run", "--broker-config", file(t, example(t), 0o600), "--broker-timeout", "50ms", "--payload", "noop",
		"--work-dir", work, "--namespace", "epic")
	left, err := os.ReadDir(former)
	if status != 40 || err != nil || len(left) != 0 {
		t.Errorf("%d, and %v are left (%v): %s", status, left, err, stderr)
	}
}
