package htcondor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
)

// program writes one. Nobody forks meanwhile: a child would have the file open for writing, and it could not be started.
func program(t *testing.T, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte(text), 0o700) //nolint:gosec // a program
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

// fake makes a system on commands of HTCondor that are shell scripts.
func fake(t *testing.T, scripts map[string]string, change ...func(*htcondor.Config)) *htcondor.System {
	t.Helper()
	bin := t.TempDir()
	for name, text := range scripts {
		program(t, filepath.Join(bin, name), "#!/bin/sh\n"+text+"\n")
	}
	cfg := htcondor.Config{Bin: bin, Jobs: t.TempDir()}
	for _, c := range change {
		c(&cfg)
	}
	s, err := htcondor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// submission is of two pilots in a folder of the test.
func submission(t *testing.T) harvester.Submission {
	t.Helper()
	return harvester.Submission{
		Tag: "tfpilot-abc", Count: 2, Dir: t.TempDir(), Path: "/opt/tfpilot/bin/pilot",
		Args: []string{"run", "--token-file", "/etc/tfpilot/pilot.token", "--note", `it's "so" $(now) `},
		Env:  []string{"PATH=/usr/bin:/bin", "EMPTY=", "MARK=a b"}, Files: []string{"/etc/tfpilot/pilot.token"},
		Resources: harvester.Resources{Cores: 4, MemoryMB: 8000, DiskMB: 500, WallTime: 4 * time.Hour},
		Exclude:   []string{"node7.example.org"},
	}
}
