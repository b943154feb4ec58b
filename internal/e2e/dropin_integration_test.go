//go:build integration

package e2e_test

import (
	"cmp"
	"os"
	"testing"
)

// artemis and classic are the production world on a real broker, which has to have the production addresses.
func artemis(t *testing.T) *production {
	t.Helper()
	p := service(t, "TFPILOT_TEST_ARTEMIS")
	p.strands = true
	return p
}

func classic(t *testing.T) *production { t.Helper(); return service(t, "TFPILOT_TEST_CLASSIC") }

func service(t *testing.T, variable string) *production {
	t.Helper()
	addr := os.Getenv(variable)
	if addr == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s names no broker, and REQUIRE_SERVICES=1; `make test/integration` starts one", variable)
	}
	if addr == "" {
		t.Skipf("%s names no broker; `make test/integration` starts one", variable)
	}
	return newProduction(t, addr, cmp.Or(os.Getenv("TFPILOT_TEST_LOGIN"), "panda"), cmp.Or(os.Getenv("TFPILOT_TEST_PASSCODE"), "panda"))
}

func TestIntegrationArtemisCalledAsTheProductionWorkerAPilotDoesItsRun(t *testing.T) {
	t.Parallel()
	doesItsRun(t, artemis(t))
}

func TestIntegrationArtemisUnderThePanDAPilotASlotIsLeftInTime(t *testing.T) {
	t.Parallel()
	leavesInTime(t, artemis(t))
}
