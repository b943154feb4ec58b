package daq_test

import (
	"errors"
	"math"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"tfpilot/daq"
)

//nolint:paralleltest // the limit is the process's
func TestARecordThatFindsNoRoomIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	j, err := daq.OpenJournal(dir, "7")
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
	if j, err = daq.OpenJournal(dir, "7"); err != nil {
		t.Fatal(err)
	}
	if r := j.Records(); len(r) != 2 || r[0].Published != "before" || r[1].Published != "after" {
		t.Errorf("%+v", r)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
