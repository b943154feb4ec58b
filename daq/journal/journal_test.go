package journal_test

import (
	"errors"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/daq"
	"tfpilot/daq/journal"
	"tfpilot/internal/exitcode"
)

//nolint:paralleltest // the limit is the process's
func TestARecordThatFindsNoRoomIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	j, err := journal.Open(dir, "7")
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // the write has its error
	limit := func(n uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: math.MaxUint64}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { limit(math.MaxUint64) })
	limit(100) // the write ends in the middle of the second one, as on a full disk
	if err := j.Append(daq.Record{Published: "before"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(daq.Record{Published: strings.Repeat("x", 1000)}); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v", err)
	}
	limit(math.MaxUint64)
	if err := errors.Join(j.Append(daq.Record{Published: "after"}), j.Close()); err != nil {
		t.Fatal(err)
	}
	if j, err = journal.Open(dir, "7"); err != nil {
		t.Fatal(err)
	}
	if r := j.Records(); len(r) != 2 || r[0].Published != "before" || r[1].Published != "after" {
		t.Errorf("%+v", r)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestAFolderGoesOnWithItsUnfinishedRunAndElseWithTheNextNumber(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state [1]") // whose name is no pattern
	open := func(run string, records ...daq.Record) (chosen string) {
		t.Helper()
		j, err := journal.Open(dir, run)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			err = errors.Join(err, j.Append(r))
		}
		if err = errors.Join(err, j.Close()); err != nil {
			t.Fatal(err)
		}
		return j.Run()
	}
	over := daq.Record{Ended: new(int)}
	for _, run := range []string{"99999", "100000", "a-test"} {
		open(run, over)
	}
	if got := open(""); got != "100001" {
		t.Errorf("run %s after 100000", got)
	}
	open("99998")
	if got := open("", over); got != "100001" {
		t.Errorf("run %s, where 100001 is not over", got)
	}
	if got := open(""); got != "99998" {
		t.Errorf("run %s, where only 99998 is not over", got)
	}
	open("99998", over)
	open("20261126131200", over)
	if got := open(""); got != "20261126131201" {
		t.Errorf("run %s after one that is numbered by its time", got)
	}
}

// What cannot be read is not taken for what is not there: the file would be cut off at its first record.
func TestAJournalThatCannotBeReadIsNoEmptyOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/proc/self/mem", filepath.Join(dir, "run-7.journal")); err != nil { // its first page is an I/O error
		t.Fatal(err)
	}
	for _, run := range []string{"7", ""} {
		if j, err := journal.Open(dir, run); !errors.Is(err, syscall.EIO) || exitcode.From(err) != exitcode.StoreFailed {
			t.Errorf("run %q: %v, %v", run, j, err)
		}
	}
}
