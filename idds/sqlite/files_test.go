package sqlite_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"tfpilot/idds/sqlite"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// counter is a store that counts, and what it counted.
type counter struct {
	*sqlite.Store

	t   *testing.T
	dir string
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{t: t, dir: t.TempDir()}
	c.open()
	c.add()
	return c
}

func (c *counter) open() {
	c.t.Helper()
	var err error
	c.Store, err = sqlite.Open(c.t.Context(), c.dir, logging.Discard())
	must(c.t, err)
	store := c.Store
	c.t.Cleanup(func() { _ = store.Close() })
}

func (c *counter) try() error {
	return c.Update(c.t.Context(), func(tx ledger.Tx) error {
		r, err := tx.Run("ns", "1")
		if err != nil {
			return err
		}
		if r == nil {
			r = &ledger.Run{Namespace: "ns", RunID: message.Run("1")}
		}
		r.Published++
		return tx.PutRun(r)
	})
}

func (c *counter) add() {
	c.t.Helper()
	must(c.t, c.try())
}

// refused expects that nothing is stored, and that it is said why.
func (c *counter) refused(words string) {
	c.t.Helper()
	if err := c.try(); !errors.Is(err, ledger.ErrUnavailable) || exitcode.From(err) != exitcode.StoreFailed || !strings.Contains(err.Error(), words) {
		c.t.Errorf("%v, want %q", err, words)
	}
}

// reopened expects to find both counts after a new start.
func (c *counter) reopened() {
	c.t.Helper()
	must(c.t, c.Close())
	c.open()
	runs, err := c.Runs(c.t.Context(), "ns")
	if must(c.t, err); len(runs) != 1 || runs[0].Published != 2 {
		c.t.Errorf("%+v, want 2", runs)
	}
}

func TestNothingIsStoredInAFileThatIsNotWhereItWas(t *testing.T) {
	t.Parallel()
	t.Run("moved and back", func(t *testing.T) {
		t.Parallel()
		c := newCounter(t)
		file := sqlite.File(c.dir)
		must(t, os.Rename(file, file+".away"))
		c.refused("moved or removed")
		if _, err := os.Stat(file); err == nil {
			t.Error("there is a new one in its place")
		}
		must(t, os.Rename(file+".away", file))
		c.add()
		c.reopened()
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		c := newCounter(t)
		file := sqlite.File(c.dir)
		must(t, os.Rename(file, file+".away"))
		must(t, os.WriteFile(file, nil, 0o600))
		c.refused("another file lies at " + file)
		must(t, os.Rename(file+".away", file))
		c.add()
		c.reopened()
	})
	t.Run("its log removed", func(t *testing.T) {
		t.Parallel()
		c := newCounter(t)
		wal := sqlite.File(c.dir) + "-wal"
		must(t, os.Rename(wal, wal+".away"))
		c.refused("moved or removed")
		must(t, os.Rename(wal+".away", wal))
		c.add()
		c.reopened()
	})
}
