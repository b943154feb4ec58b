package e2e_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// block is the code of a document between ```info and ```.
func block(t *testing.T, file, info string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", file))
	must(t, err)
	_, rest, found := strings.Cut(string(text), "```"+info+"\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("%s has no block %q", file, info)
	}
	return code
}

// shell runs a script in a folder of its own, with the programs in PATH.
func shell(t *testing.T, dir, script string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "PATH="+bin(t)+":"+os.Getenv("PATH"))
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func TestTheCommandsOfTheOperationsGuideWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := shell(t, dir, block(t, "docs/operations/by-hand.md", "sh by-hand"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"run 100001 is closed: published 10 = done 10 + failed 0 + outstanding 0", "all results are in",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	await(t, "the end of all", func() bool { return len(processes(t, dir)) == 0 })
}

func TestAPayloadIsWrittenAndTakenThroughTheChainByItsPage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("no python3 on PATH")
	}
	dir := t.TempDir()
	must(t, os.Symlink(bin(t), filepath.Join(dir, "bin")))
	out, err := shell(t, dir, block(t, "docs/payloads.md", "sh ten-minutes"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"hits/work.py", "verdict  done", "hits/hits.toml: ok: hits 0.1 of kind command", "20 slices in 2 slots", "the same in all",
		"published 4 = done 4 + failed 0 + lost 0",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestTheCommandsOfTheReadmeWork(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	must(t, err)
	dir := t.TempDir()
	commands := regexp.MustCompile(`(?m)^bin/(\S.*?)(\s+#.*)?$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) < 4 {
		t.Fatalf("found only %v", commands)
	}
	for _, c := range commands {
		if out, err := shell(t, dir, c[1]); err != nil {
			t.Errorf("%s: %v\n%s", c[1], err, out)
		}
	}
}

// Links between documents, to their sections, and to files of the repository.
func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	must(t, err)
	below, err := filepath.Glob(filepath.Join(root, "docs", "*", "*.md"))
	must(t, err)
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	for _, file := range append(append(files, below...), filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target := file
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(file), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if m[2] != "" && filepath.Ext(target) == ".md" && !slices.Contains(sections(t, target), m[2]) {
				t.Errorf("%s: %s has no section %s", file, target, m[2])
			}
		}
	}
}

// Programs, files of sites and services, scripts and comments name documents to read on in.
func TestDocumentsThatAreNamedAreThere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	name := regexp.MustCompile(`\bdocs/[\w/.@-]*\w`)
	named := 0
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			hidden := strings.HasPrefix(entry.Name(), ".") && path != root // where services may be at work
			if hidden || slices.Contains([]string{"bin", "testdata", "venv"}, entry.Name()) || strings.HasSuffix(entry.Name(), "-out") {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".sh", ".toml", ".yml", ".service"}, filepath.Ext(path)) && entry.Name() != "Makefile" {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, doc := range name.FindAllString(string(text), -1) {
			named++
			if _, err := os.Stat(filepath.Join(root, doc)); err != nil {
				t.Errorf("%s names %s, which is not there", path, doc)
			}
		}
		return err
	}))
	if named < 20 {
		t.Errorf("found only %d names of documents", named)
	}
}

// sections are the anchors of a document, as a forge makes them of its headings.
func sections(t *testing.T, file string) (anchors []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	prose := regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(string(text), "")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose, -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(kept, " ", "-"))
	}
	return anchors
}
