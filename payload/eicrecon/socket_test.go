package eicrecon_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/payload/eicrecon"
)

func TestASocketWhoseNameIsTooLongIsWrongConfiguration(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shortDir(t), strings.Repeat("x", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := eicrecon.NewSocket(dir)
	if exitcode.From(err) != exitcode.BadConfig || !strings.Contains(exitcode.Next(err), "socket_dir") {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if _, _, err := eicrecon.NewSocket(filepath.Join(dir, "none")); exitcode.From(err) != exitcode.SiteNoSpace {
		t.Error(err)
	}
}

func TestTheFolderOfASocketIsNobodyElses(t *testing.T) {
	t.Parallel()
	path, remove, err := eicrecon.NewSocket(shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	remove()
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestFoldersOfKilledPilotsAreRemovedAndNoOthers(t *testing.T) {
	t.Parallel()
	base := shortDir(t)
	used, remove, err := eicrecon.NewSocket(base)
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	made := func(name string, age time.Duration) string {
		dir := filepath.Join(base, name)
		write(t, filepath.Join(dir, "s"), "", 0o600)
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Dir(used), then, then); err != nil {
		t.Fatal(err)
	}
	left, fresh, other := made("tfpilot-eic-1", time.Hour), made("tfpilot-eic-2", 0), made("tfpilot-other", time.Hour)
	held := made("tfpilot-eic-3", time.Hour)
	lock, err := exec.LookPath("flock")
	if err == nil { // another pilot, as far as can be told
		c := exec.CommandContext(t.Context(), lock, held, "sh", "-c", "echo; cat")
		in, _ := c.StdinPipe()
		out, _ := c.StdoutPipe()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close(); _ = c.Wait() }()
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	eicrecon.SweepSockets(base)
	for dir, want := range map[string]bool{filepath.Dir(used): true, left: false, fresh: true, other: true, held: lock != ""} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(dir), err)
		}
	}
}
