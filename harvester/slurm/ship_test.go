package slurm_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
)

// shipping is the script of pilots that are shipped to a scratch folder, and a command that runs it for one of them, as a node does.
// The pilot says where it is, and lives as long as its standard input.
func shipping(t *testing.T, pilots int) (scratch string, node func(index int) *exec.Cmd) {
	t.Helper()
	bin, scratch := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"sbatch": "cat >" + bin + "/script; echo 4711", "pilot": "pwd; exec cat"} {
		program(t, filepath.Join(bin, name), "#!/bin/sh\n"+text+"\n")
	}
	s, err := slurm.New(slurm.Config{Bin: bin, Scratch: scratch})
	if err != nil {
		t.Fatal(err)
	}
	sub := harvester.Submission{Tag: harvester.TagPrefix + "test", Count: pilots, Dir: t.TempDir(), Path: filepath.Join(bin, "pilot"), Ship: true}
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(scratch, "tfpilot-"+strconv.Itoa(os.Getuid())), func(index int) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", filepath.Join(bin, "script")) //nolint:gosec // a test's
		cmd.Env = append(os.Environ(), "SLURM_ARRAY_TASK_ID="+strconv.Itoa(index))
		return cmd
	}
}

func TestPilotsThatStartAtOnceOnANodeLeaveEachOthersFoldersAlone(t *testing.T) {
	t.Parallel()
	const pilots = 30
	scratch, node := shipping(t, pilots)
	live, stop, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = live.Close() }()
	defer func() { _ = stop.Close() }() // whatever happens they end
	commands := make([]*exec.Cmd, pilots)
	said := make([]*bufio.Reader, pilots)
	words := make([]strings.Builder, pilots)
	for i := range commands {
		commands[i] = node(i)
		out, err := commands[i].StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		said[i] = bufio.NewReader(out)
		commands[i].Stdin, commands[i].Stderr = live, &words[i]
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, out := range said {
		want := filepath.Join(scratch, harvester.TagPrefix+"test."+strconv.Itoa(i))
		if got, _ := out.ReadString('\n'); got != want+"\n" {
			t.Errorf("pilot %d is in %q, want %q", i, got, want)
		} else if _, err := os.Stat(filepath.Join(want, "pilot")); err != nil {
			t.Error(err)
		}
	}
	if err := stop.Close(); err != nil {
		t.Fatal(err)
	}
	for i, c := range commands {
		if err := c.Wait(); err != nil {
			t.Errorf("pilot %d: %v: %s", i, err, words[i].String())
		}
	}
	// The next one clears away what they left.
	last := node(0)
	if out, err := last.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestALinkInPlaceOfTheScratchFolderIsNotOurs(t *testing.T) {
	t.Parallel()
	scratch, node := shipping(t, 1)
	victim := filepath.Join(t.TempDir(), "work")
	if err := os.MkdirAll(victim, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(victim, ".lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(victim), scratch); err != nil {
		t.Fatal(err)
	}
	if out, err := node(0).CombinedOutput(); err == nil || !strings.Contains(string(out), "is not ours") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}
