package slotinfo_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/document"
	"tfpilot/pilot/slotinfo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is one with files and an environment of the test's own.
type machine struct {
	t    *testing.T
	root string
	env  map[string]string
	bin  string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), env: map[string]string{}, bin: t.TempDir()}
	m.env["PATH"] = m.bin
	m.file("/proc/uptime", "100000.00 1.0")
	m.process(500, "pilot", 1, 99990)
	return m
}

// file writes a file of the machine.
func (m *machine) file(path, text string) {
	m.t.Helper()
	full := filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// process is one of the machine, started so many seconds after the boot.
func (m *machine) process(pid int, name string, parent, start int) {
	m.t.Helper()
	number := strconv.Itoa
	m.file("/proc/"+number(pid)+"/stat", number(pid)+" ("+name+") S "+number(parent)+" 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 "+number(100*start)+" 0 0")
}

// job makes the pilot's process one of a job whose first process is so old.
func (m *machine) job(first string, age time.Duration) {
	m.t.Helper()
	m.process(400, first, 1, 100000-int(age.Seconds()))
	m.process(500, "pilot", 400, 99999)
}

// squeue puts one in the machine's PATH.
func (m *machine) squeue(script string) {
	m.t.Helper()
	// Nobody forks meanwhile: a child would have the file open for writing, and it could not be started.
	syscall.ForkLock.RLock()
	err := os.WriteFile(filepath.Join(m.bin, "squeue"), []byte("#!/bin/sh\n"+script+"\n"), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) slot(cfg slotinfo.Config) *slotinfo.Slot {
	m.t.Helper()
	s, err := slotinfo.New(slotinfo.Machine{
		Getenv: func(name string) string { return m.env[name] }, Root: m.root, PID: 500, Affinity: func() int { return 64 },
	}, cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// counts is the source of the fact that counts.
func counts(t *testing.T, d document.Slot, name string) (source string) {
	t.Helper()
	n := 0
	for _, f := range d.Facts {
		if f.Name == name && f.Counts {
			source = f.Source
			n++
		}
	}
	if n > 1 {
		t.Errorf("%d facts count as %s", n, name)
	}
	return source
}

// endsIn checks the end of a slot, give or take what a loaded machine takes for the test itself.
func endsIn(t *testing.T, s *slotinfo.Slot, want time.Duration, source string) {
	t.Helper()
	end, ok := s.End()
	if !ok {
		t.Fatalf("no end is known, want one in %s", want)
	}
	const noise = 30 * time.Second
	if left := time.Until(end.At); (left-want).Abs() > noise || !strings.Contains(end.Source, source) {
		t.Errorf("ends in %s (%s), want %s (%s)", left, end.Source, want, source)
	}
}
