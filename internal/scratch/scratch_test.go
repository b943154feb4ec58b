package scratch_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tfpilot/internal/scratch"
)

// old makes a folder one that was not made a moment ago.
func old(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWhatNobodyUsesIsSwept(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "work [1]") // whose name is no pattern
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	var made [3]scratch.Folder
	for i := range made {
		var err error
		if made[i], err = scratch.New(base, "a-"); err != nil {
			t.Fatal(err)
		}
	}
	used, left, young := made[0], made[1], made[2]
	t.Cleanup(used.Release)
	left.Release()
	young.Release()
	foreign, link := filepath.Join(base, "b-1"), filepath.Join(base, "a-link")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(foreign, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{used.Path, left.Path, foreign} {
		old(t, dir)
	}
	var swept []string
	scratch.Sweep(base, "a-", func(dir string) { swept = append(swept, dir) })
	if !slices.Equal(swept, []string{left.Path}) {
		t.Errorf("swept %q, want %q", swept, left.Path)
	}
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	t.Parallel()
	f, err := scratch.New(filepath.Join(t.TempDir(), "none"), "a-")
	if err == nil {
		t.Error("a folder was made in one that is not there")
	}
	f.Release() // nothing, and no panic
}
