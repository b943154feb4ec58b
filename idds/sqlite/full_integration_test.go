//go:build integration

package sqlite_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/ledger"
)

func TestIntegrationAFullDiskIsSaidAndRoomMendsIt(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("only root may make a small disk")
	}
	c := &counter{t: t, dir: t.TempDir()}
	must(t, syscall.Mount("tfpilot", c.dir, "tmpfs", 0, "size=8m,mode=700"))
	t.Cleanup(func() { must(t, syscall.Unmount(c.dir, 0)) })
	filler := filepath.Join(c.dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 5<<20), 0o600))
	c.open()
	c.add()
	n := 0
	more := func() error {
		return c.Update(t.Context(), func(tx ledger.Tx) error {
			for i := range 100 {
				k := ledger.Key{Namespace: "ns", Run: "1", Identity: strconv.Itoa(100*n + i)}
				if err := tx.PutSlice(&ledger.Slice{Key: k, State: ledger.Outstanding, Filename: strings.Repeat(rand.Text(), 50)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := more()
	for ; err == nil; err = more() {
		n++
	}
	if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("%v", err)
	}
	found := func() int {
		_, tally, err := c.Tally(t.Context(), "ns", "1")
		must(t, err)
		return tally[ledger.Outstanding]
	}
	if got := found(); got != 100*n {
		t.Errorf("%d slices were stored, %d are there", 100*n, got)
	}
	must(t, os.Remove(filler))
	must(t, more())
	n++
	c.add()
	if got := found(); got != 100*n {
		t.Errorf("%d slices were stored, %d are there", 100*n, got)
	}
	c.reopened()
}
