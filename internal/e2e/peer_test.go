package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/proc"
)

// startPython runs the worker of testdata/peer until the test ends.
func startPython(tb testing.TB, args []string, env ...string) {
	tb.Helper()
	python := os.Getenv("TFPILOT_TEST_PYTHON")
	if python == "" && os.Getenv("REQUIRE_SERVICES") == "1" {
		tb.Fatal("TFPILOT_TEST_PYTHON is not set, and REQUIRE_SERVICES=1")
	}
	if python == "" {
		tb.Skip("set TFPILOT_TEST_PYTHON to what scripts/python.sh internal/e2e/testdata/peer/requirements.txt prints")
	}
	script, err := filepath.Abs("testdata/peer/worker.py")
	must(tb, err)
	said := proc.NewCapture(8<<10, 8<<10)
	ctx, cancel := context.WithCancel(context.Background())
	p, err := proc.Start(ctx, proc.Command{
		Path: python, Args: append([]string{script}, args...), Dir: tb.TempDir(), Stdout: said, Stderr: said, Grace: time.Second,
		Env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir()}, env...),
	})
	must(tb, err)
	tb.Cleanup(func() {
		cancel()
		if _, err := p.Wait(); err != nil || tb.Failed() {
			tb.Errorf("the worker ended with %v and said: %s", err, said)
		}
	})
}
