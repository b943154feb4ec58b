package pilotcmd_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/fitness"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

// checked is the report of `pilot check`.
func checked(t *testing.T, args ...string) (status int, report struct {
	OK    bool              `json:"ok"`
	Tests []fitness.Finding `json:"tests"`
},
) {
	t.Helper()
	status, stdout, stderr := command(t, append([]string{"check", "--output", "json", "--work-dir", t.TempDir(), "--node-min-disk-mb", "1", "--node-min-inodes", "1"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || stderr != "" {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return status, report
}

// siteTest writes a test of the node.
func siteTest(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scratch")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckOfAFitNodeEndsWell(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	status, report := checked(t, "--node-test", siteTest(t, `echo '{"found":"scratch is there"}'`))
	if status != 0 || !report.OK || report.Tests[0].Test != "work_dir" {
		t.Errorf("%d: %+v", status, report)
	}
}

func TestCheckNamesWhatIsBadAndItsStatusIsThatOfTheFirst(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	scratch := siteTest(t, `echo '{"found":"no scratch","next":"mount it"}'; exit 1`)
	status, report := checked(t, "--node-test", scratch, "--idds", "http://"+testkit.Nobody(t))
	if status != 35 || report.OK {
		t.Errorf("%d: %+v", status, report)
	}
	if status, _ := checked(t, "--node-test", scratch, "--node-warn", "scratch", "--idds", "http://"+testkit.Nobody(t)); status != 41 {
		t.Errorf("status %d, want 41", status)
	}
	status, stdout, stderr := command(t, "check", "--node-test", scratch, "--work-dir", t.TempDir())
	if status != 35 || !strings.Contains(stdout, "no scratch") || !strings.Contains(stdout, "  do: mount it") || stderr != "" {
		t.Errorf("%d: %s%s", status, stdout, stderr)
	}
}

func TestCheckTriesTheBrokerAndTellsNoSecret(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	b, err := stompd.New(stompd.Config{Users: map[string]string{"panda": "right"}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Serve(ctx, ln) }()
	defer func() { cancel(); <-done }()
	for password, want := range map[string]int{"right": 0, "s3cr3t": 50} {
		conf := strings.NewReplacer("127.0.0.1:1", ln.Addr().String(), `, "127.0.0.1:2"`, "", `"secret"`, `"`+password+`"`).Replace(example(t))
		status, report := checked(t, "--broker-config", file(t, conf, 0o600))
		last := report.Tests[len(report.Tests)-1]
		if status != want || last.Test != "broker" || strings.Contains(last.Found+last.Next, password) {
			t.Errorf("%d: %+v", status, last)
		}
	}
	if status, report := checked(t, "--broker-config", "/nowhere/broker.toml"); status != 51 || report.OK {
		t.Errorf("%d: %+v", status, report)
	}
}

func TestAPilotOnABadNodeLeavesWithItsReason(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	status, stderr := start(t, file(t, example(t), 0o600), "--broker-timeout", "1h", "--node-hold", "0",
		"--node-test", siteTest(t, `echo '{"found":"no scratch","next":"mount it"}'; exit 1`))
	if status != 35 || !strings.Contains(stderr, "scratch: no scratch (node_unfit: mount it)") {
		t.Errorf("%d: %s", status, stderr)
	}
}

func TestOptionsOfTheNodeThatMakeNoSenseAreRefusedByName(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	for _, args := range [][]string{{"--node-need", "tpu"}, {"--node-warn", "dsik"}, {"--node-limit", "0s"}, {"--node-hold", "-1s"}, {"--node-cvmfs", "a/b"}} {
		for _, cmd := range []string{"check", "run"} {
			status, stdout, stderr := command(t, append([]string{cmd}, args...)...)
			if status != 64 || !strings.Contains(stderr, args[0]) || cmd == "check" && stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s %v: %d: %s%s", cmd, args, status, stdout, stderr)
			}
		}
	}
}

func TestTheTestOfTheGuideIsOne(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	text, err := os.ReadFile("../../../docs/operations/node.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "A test in the words of a shell:\n\n```sh\n#!/bin/sh\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("docs/operations/node.md has no example of a test of the node")
	}
	status, report := checked(t, "--node-test", siteTest(t, strings.ReplaceAll(code, "/scratch/geometry", t.TempDir())))
	if status != 0 || !report.OK {
		t.Errorf("%d: %+v", status, report)
	}
	status, report = checked(t, "--node-test", siteTest(t, strings.ReplaceAll(code, "/scratch/geometry", "/nowhere/at/all")))
	last := report.Tests[len(report.Tests)-1]
	if status != 35 || last.Found != "no /nowhere/at/all" || last.Next != "run the site setup on this node" {
		t.Errorf("%d: %+v", status, last)
	}
}

func TestTheOptionsOfTheNodeStandInAFileToo(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	conf := file(t, "node_hold = \"5m\"\n[node]\ntest = [\"/etc/tests\", \"/a,b\"]\nneed = [\"gpu\"]\nlimit = \"3s\"\n", 0o600)
	status, stdout, stderr := command(t, "config", "show", "--config", conf)
	for _, want := range []string{"5m0s", "/etc/tests", "gpu", "3s"} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%d: %q is not in %s%s", status, want, stdout, stderr)
		}
	}
}

func TestCheckStartsTheContainerOfThePayload(t *testing.T) {
	dir, image := t.TempDir(), t.TempDir()
	runtime, toml := filepath.Join(dir, "apptainer"), filepath.Join(t.TempDir(), "p.toml")
	text := "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n[container]\nruntime = \"apptainer\"\nimage = \"" + image + "\"\n"
	err := errors.Join(os.WriteFile(toml, []byte(text), 0o600), os.MkdirAll(filepath.Join(image, "usr"), 0o755),
		os.WriteFile(runtime, []byte("#!/bin/sh\necho 'ERROR  : Failed to create user namespace: not allowed' >&2\nexit 255\n"), 0o755)) //nolint:gosec // it is run
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	status, report := checked(t, "--payload", toml)
	last := report.Tests[len(report.Tests)-1]
	if status != 37 || last.Test != "payload_container" || !strings.Contains(last.Found, "not allowed") || !strings.Contains(last.Next, "user namespaces") {
		t.Errorf("%d: %+v", status, last)
	}
}
