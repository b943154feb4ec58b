package testbed_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/testbed"
)

func TestTwoTestbedsDoNotShareAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	_, unlock, err := testbed.CleanFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := testbed.CleanFolder(dir); exitcode.From(err) != exitcode.StateLocked || !strings.Contains(exitcode.Next(err), "--out") {
		t.Errorf("%v; %s", err, exitcode.Next(err))
	}
	unlock()
	left := filepath.Join(dir, "left")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, unlock, err = testbed.CleanFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := os.Stat(left); err == nil {
		t.Error("what a former one has left is still there")
	}
}
