//go:build integration

package sqlite_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"tfpilot/idds/sqlite"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

func TestIntegrationAStoreOnAReadOnlyDiskIsSaidAndHasEverythingAfterwards(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("only root may make a disk")
	}
	c := &counter{t: t, dir: t.TempDir()}
	must(t, syscall.Mount("tfpilot", c.dir, "tmpfs", 0, "size=8m,mode=700"))
	t.Cleanup(func() { must(t, syscall.Unmount(c.dir, 0)) })
	c.open()
	c.add()
	must(t, c.Close())
	must(t, syscall.Mount("", c.dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if _, err := sqlite.Open(t.Context(), c.dir, logging.Discard()); err == nil || !strings.Contains(err.Error(), "read-only file system") || exitcode.From(err) != exitcode.StoreFailed {
		t.Errorf("a service: %v", err)
	}
	if _, err := sqlite.OpenSource(t.Context(), sqlite.File(c.dir)); err == nil || !strings.Contains(exitcode.Next(err), "copy it") {
		t.Errorf("a backup: %v (%s)", err, exitcode.Next(err))
	}
	must(t, syscall.Mount("", c.dir, "tmpfs", syscall.MS_REMOUNT, ""))
	c.open()
	c.add()
	c.reopened()
}
