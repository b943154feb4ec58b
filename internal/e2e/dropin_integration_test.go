//go:build integration

package e2e_test

import (
	"cmp"
	"os"
	"testing"
)

// artemis is the production world on a real broker, which has to have the production addresses.
func artemis(t *testing.T) *production {
	t.Helper()
	addr := os.Getenv("TFPILOT_TEST_ARTEMIS")
	if addr == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		t.Fatal("TFPILOT_TEST_ARTEMIS=host:port is not set, and REQUIRE_SERVICES=1")
	}
	if addr == "" {
		t.Skip("start Apache ActiveMQ Artemis and set TFPILOT_TEST_ARTEMIS=host:port")
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
