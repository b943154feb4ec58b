package payload_test

import (
	"os"
	"path/filepath"
	"testing"

	"tfpilot/payload"
)

// TestTheBuiltinProgramIsFound is not parallel, because it sets a variable of this process.
func TestTheBuiltinProgramIsFound(t *testing.T) {
	t.Setenv("TFPILOT_PAYLOAD_BIN", "")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := payload.Builtin(""); err != nil || got != filepath.Join(filepath.Dir(self), "tfpilot-payload") {
		t.Errorf("%s, %v", got, err)
	}
	t.Setenv("TFPILOT_PAYLOAD_BIN", "/opt/tfpilot-payload")
	if got, err := payload.Builtin(""); err != nil || got != "/opt/tfpilot-payload" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := payload.Builtin("/given"); err != nil || got != "/given" {
		t.Errorf("%s, %v", got, err)
	}
}
