package seglog_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tfpilot/internal/seglog"
)

// quick is a log on a disk that is not waited for and has no room for a reserve, which takes most of the time.
var quick = seglog.Options{NoSync: true, Disk: func(bytes int64) error {
	if bytes > 1<<20 {
		return syscall.ENOSPC
	}
	return nil
}}

// FuzzOpen takes any bytes for a segment: they are read or refused, and what is read is read again after more was added.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	l, _, err := tryOpen(dir, quick)
	if err != nil {
		f.Fatal(err)
	}
	l.Append([]byte("one"))
	l.Append(make([]byte, 300))
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	const first = "000000000001.log"
	whole, err := os.ReadFile(filepath.Join(dir, first))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, first), b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, got, err := tryOpen(dir, quick)
		if err != nil {
			if !errors.Is(err, seglog.ErrDamaged) && !errors.Is(err, seglog.ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		l.Append([]byte("more"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, again, err := tryOpen(dir, quick)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil || len(again) != len(got)+1 {
			t.Fatalf("%d records, then %d, %v", len(got), len(again), err)
		}
	})
}
