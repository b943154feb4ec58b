//go:build integration

package slurm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
)

func TestIntegrationWhatIsShippedRunsOnTheNodesOwnDiskAndIsClearedAway(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		scratch, there := t.TempDir(), t.TempDir()
		for name, text := range map[string]string{"pilot": "#!/bin/sh\npwd\ncat token\necho \"$HOME\"\n", "token": "hunter2\n"} {
			program(t, filepath.Join(there, name), text)
		}
		s := open(t, dir, func(c *slurm.Config) { c.Scratch = scratch })
		for range 2 {
			sub := script(t, 2, "")
			sub.Path, sub.Files, sub.Ship, sub.Args, sub.Env = filepath.Join(there, "pilot"), []string{filepath.Join(there, "token")}, true, nil, []string{"PATH=/usr/bin:/bin", "HOME=/given"}
			ids := submit(t, s, sub)
			awaitState(t, s, ids, harvester.Ended)
			for i := range ids {
				worker := fmt.Sprintf("%s.%d", sub.Tag, i)
				mine := filepath.Join(scratch, fmt.Sprintf("tfpilot-%d", os.Getuid()))
				if got, want := read(t, sub.Dir, worker, harvester.StdoutFile), filepath.Join(mine, worker)+"\nhunter2\n/given\n"; got != want {
					t.Errorf("%q, want %q; %s", got, want, read(t, sub.Dir, worker, harvester.StderrFile))
				}
				if left, err := filepath.Glob(filepath.Join(mine, harvester.TagPrefix+"*")); err != nil || len(left) > 2 || !slices.ContainsFunc(left, func(l string) bool { return strings.HasPrefix(filepath.Base(l), sub.Tag) }) {
					t.Errorf("%v is left, %v", left, err)
				}
			}
		}
	})
}

func TestIntegrationShippedPilotsThatStartTogetherLeaveEachOthersFoldersAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		s := open(t, dir, func(c *slurm.Config) { c.Scratch = t.TempDir() })
		sub := script(t, 24, "exit 0")
		sub.Ship = true
		for id, st := range awaitState(t, s, submit(t, s, sub), harvester.Ended) {
			if st.ExitCode != 0 {
				t.Errorf("%s: %+v; %s", id, st, read(t, sub.Dir, sub.Tag+"."+id[strings.Index(id, "_")+1:], harvester.StderrFile))
			}
		}
	})
}
