package harvestercmd_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"tfpilot/cmd/harvester/harvestercmd"
	"tfpilot/internal/program"
)

// asProgram makes this test program a harvester: one that runs beside other command lines has to be a process of its own, because
// all apps share one help flag.
const asProgram = "HARVESTERCMD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(program.Main(harvestercmd.App())) //nolint:forbidigo // it is a main here
	}
	goleak.VerifyTestMain(m)
}
