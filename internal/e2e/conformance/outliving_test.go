package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/cmd/testbed/testbedcmd"
	"tfpilot/internal/e2e/conformance"
	"tfpilot/internal/program"
)

// asTestbed makes the test binary the program testbed.
const asTestbed = "TFPILOT_CONFORMANCE_TESTBED"

func TestMain(m *testing.M) {
	if os.Getenv(asTestbed) != "" {
		os.Exit(program.Main(testbedcmd.App())) //nolint:forbidigo // it is that program
	}
	goleak.VerifyTestMain(m)
}

func TestTheEmbeddedBrokerKeepsWhatArtemisKeeps(t *testing.T) {
	t.Parallel()
	keeps(t, conformance.Artemis)
}

func TestTheEmbeddedBrokerKeepsWhatClassicKeepsInItsMode(t *testing.T) {
	t.Parallel()
	keeps(t, conformance.Classic)
}

// keeps asks the embedded broker as a process that is killed, or stopped.
func keeps(t *testing.T, mode conformance.Mode) {
	t.Helper()
	dir := t.TempDir()
	var running *exec.Cmd
	end := func(t *testing.T, how os.Signal) {
		t.Helper()
		if err := running.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		if err := running.Wait(); err != nil && how != os.Kill {
			t.Fatal(err)
		}
	}
	begin := func(t *testing.T) string {
		t.Helper()
		address := filepath.Join(dir, "address")
		if err := os.RemoveAll(address); err != nil {
			t.Fatal(err)
		}
		running = exec.Command(os.Args[0], "broker", "--listen", "127.0.0.1:0", "--address-file", address, //nolint:noctx // its end is the test's
			"--state", filepath.Join(dir, "state"), "--mode", strings.ToLower(string(mode)), "--log-level", "warn")
		running.Env = append(os.Environ(), asTestbed+"=1")
		running.Stderr = os.Stderr
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
			if text, err := os.ReadFile(address); err == nil {
				return strings.TrimSpace(string(text))
			}
			if time.Now().After(deadline) {
				t.Fatal("the broker does not listen")
			}
		}
	}
	b := conformance.Broker{Mode: mode, Addr: begin(t), Login: "panda", Passcode: "panda", Quiet: 50 * time.Millisecond}
	t.Cleanup(func() { end(t, os.Kill) })
	conformance.RunOutliving(t, b, func(t *testing.T, how conformance.End) string {
		t.Helper()
		end(t, map[conformance.End]os.Signal{conformance.Killed: os.Kill, conformance.Stopped: os.Interrupt}[how])
		return begin(t)
	})
}
