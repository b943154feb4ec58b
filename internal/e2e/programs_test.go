package e2e_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tfpilot/internal/proc"
	"tfpilot/internal/scratch"
)

// bin is the folder with all programs, built once from this checkout: static, as they ship.
func bin(tb testing.TB) string {
	tb.Helper()
	dir, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// shared is a folder for what tests share. What runs that were killed have left, 100 MB of programs each, goes before.
var shared = sync.OnceValues(func() (scratch.Folder, error) {
	const prefix = "tfpilot-tests-"
	scratch.Sweep(os.TempDir(), prefix, func(dir string) { _ = os.RemoveAll(dir) })
	return scratch.New(os.TempDir(), prefix)
})

var build = sync.OnceValues(func() (string, error) {
	own, err := shared()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(own.Path, "bin")
	for _, of := range []struct{ what, tags string }{{"...", "urfave_cli_no_docs"}, {"pilot", "urfave_cli_no_docs,nethttpomithttp2"}} { // as in the Makefile
		cmd := exec.Command("go", "build", "-trimpath", "-tags", of.tags, "-ldflags", "-s -w", "-o", dir+"/", "tfpilot/cmd/"+of.what)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building the programs: %w\n%s", err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	// Most of these tests wait, for heart-beats and time limits of real processes: more of them at once than there are processors.
	if flag.Parse(); !slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.parallel") }) {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if own, err := shared(); err == nil {
		_ = os.RemoveAll(own.Path)
	}
	os.Exit(code) //nolint:forbidigo // the one place where a test binary may
}

// tool runs a program to its end and returns its exit status and what it printed.
func tool(tb testing.TB, name string, args ...string) (status int, stdout, stderr string) {
	tb.Helper()
	var out, errs bytes.Buffer
	// Not by os/exec: what it starts has no mark, and beside a tree of ours that ends it would be taken for a part of that.
	res, err := proc.Run(tb.Context(), proc.Command{
		Path: filepath.Join(bin(tb), name), Args: args, Dir: tb.TempDir(), Env: os.Environ(), Stdout: &out, Stderr: &errs,
	})
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return res.ExitCode, out.String(), errs.String()
}
