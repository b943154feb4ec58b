//go:build integration

package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/e2e/conformance"
)

func TestIntegrationArtemisKeeps(t *testing.T) {
	t.Parallel()
	outlives(t, conformance.Artemis, "artemis")
}

func TestIntegrationClassicKeeps(t *testing.T) {
	t.Parallel()
	outlives(t, conformance.Classic, "classic")
}

// outlives asks a real broker of its own, because nobody else would survive it.
func outlives(t *testing.T, mode conformance.Mode, name string) {
	t.Helper()
	b := service(t, mode, "TFPILOT_TEST_"+strings.ToUpper(name))
	state := filepath.Join(t.TempDir(), "services")
	do := func(what string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join("..", "..", "..", "scripts", "services.sh"), what, name) //nolint:noctx // the last one is for the cleanup
		cmd.Env = append(os.Environ(), "TFPILOT_SERVICES="+state, "TFPILOT_ARTEMIS_PORT=0", "TFPILOT_CLASSIC_PORT=0")
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("services.sh %s %s: %v", what, name, err)
		}
		_, addr, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
		return addr
	}
	t.Cleanup(func() { do("down") })
	b.Addr, b.Login, b.Passcode = do("up"), "panda", "panda"
	conformance.RunOutliving(t, b, func(t *testing.T, end conformance.End) string {
		t.Helper()
		do(map[conformance.End]string{conformance.Killed: "kill", conformance.Stopped: "stop"}[end])
		return do("up")
	})
}
