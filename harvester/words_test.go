package harvester_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

func TestTheTailOfALogIsWholeLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "w.0"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "w.0", harvester.StderrFile), []byte(strings.Repeat("a line\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]string{20: "a line\na line\n", 1e6: strings.Repeat("a line\n", 1000)} {
		if got, err := harvester.LogTail(dir, "w.0", limit); got != want || err != nil {
			t.Errorf("%d: %q, %v", limit, got, err)
		}
	}
	if _, err := harvester.LogTail(dir, "w.1", 10); exitcode.From(err) != exitcode.StoreFailed || !strings.Contains(err.Error(), "worker w.1 has left no log") {
		t.Errorf("%v", err)
	}
}
