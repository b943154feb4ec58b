package pilotcmd_test

import (
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"tfpilot/pilot/nodetest"
)

func TestMain(m *testing.M) {
	if nodetest.IsChild(os.Args) {
		syscall.Exit(nodetest.Child(os.Args, os.Stdin, os.Stdout)) // without the second that the race detector takes
	}
	goleak.VerifyTestMain(m)
}
