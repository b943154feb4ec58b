package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// foreign are options in documents that are those of other programs: systemctl, useradd, createuser, sbatch, the production worker, ...
var foreign = []string{
	"--collector", "--events", "--gap", "--home-dir", "--idle", "--no-requeue", "--noise", "--now", "--owner", "--pid", "--pwprompt", "--serve",
	"--shell", "--signal", "--verbose", "--version", "--workdir",
}

func TestOptionsThatDocumentsNameAreThere(t *testing.T) {
	t.Parallel()
	option := regexp.MustCompile(`\B--[a-z][a-z0-9-]*[a-z0-9]`)
	known := map[string]bool{}
	var ask func(args ...string)
	command := regexp.MustCompile(`(?m)^   ([a-z][a-z-]+)`)
	ask = func(args ...string) {
		help, err := exec.CommandContext(t.Context(), filepath.Join(bin(t), args[0]), append(args[1:], "--help")...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		for _, o := range option.FindAllString(string(help), -1) {
			known[o] = true
		}
		list := regexp.MustCompile(`(?s)COMMANDS:\n(.*?)(\n[A-Z]|$)`).FindSubmatch(help)
		if list == nil {
			return
		}
		for _, m := range command.FindAllSubmatch(list[1], -1) {
			if name := string(m[1]); name != "help" {
				ask(append(slices.Clone(args), name)...)
			}
		}
	}
	for _, program := range []string{"pilot", "wrapper", "harvester", "idds", "daq", "testbed"} {
		ask(program)
	}
	if !known["--idle-timeout"] || !known["--demand-goal"] || !known["--repeat"] {
		t.Fatalf("found only %d options", len(known))
	}
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/operations/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", "..", pattern))
		must(t, err)
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, o := range option.FindAllString(string(text), -1) {
			if !known[o] && !slices.Contains(foreign, o) {
				t.Errorf("%s names %s, which no program has", file, o)
			}
		}
	}
}
