//go:build integration

package conformance_test

import (
	"cmp"
	"os"
	"testing"
	"time"

	"tfpilot/internal/e2e/conformance"
)

func TestIntegrationArtemis(t *testing.T) {
	t.Parallel()
	conformance.Run(t, service(t, conformance.Artemis, "TFPILOT_TEST_ARTEMIS"))
}

func TestIntegrationClassic(t *testing.T) {
	t.Parallel()
	conformance.Run(t, service(t, conformance.Classic, "TFPILOT_TEST_CLASSIC"))
}

// service is a real broker, if there is one.
func service(t *testing.T, mode conformance.Mode, variable string) conformance.Broker {
	t.Helper()
	addr := os.Getenv(variable)
	if addr == "" {
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatalf("%s names no broker; `make test/integration` starts one", variable)
		}
		t.Skipf("%s names no broker; `make test/integration` starts one", variable)
	}
	return conformance.Broker{
		Mode: mode, Addr: addr, Login: cmp.Or(os.Getenv("TFPILOT_TEST_LOGIN"), "panda"), Passcode: cmp.Or(os.Getenv("TFPILOT_TEST_PASSCODE"), "panda"),
		Quiet: 300 * time.Millisecond, Long: !testing.Short(),
	}
}
