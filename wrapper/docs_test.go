package wrapper_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/payloadfile"
	"tfpilot/wrapper"
)

const docs = "../docs/payloads.md"

// example is the first block of docs/payloads.md in a language that begins as given.
func example(t *testing.T, language, beginning string) string {
	t.Helper()
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```"+language+"\n"+beginning)
	code, _, closed := strings.Cut(after, "\n```")
	if !found || !closed {
		t.Fatalf("%s has no %s block that begins with %q", docs, language, beginning)
	}
	return beginning + code + "\n"
}

// byteCount runs an example as the payload file of the page does, on a file of six bytes.
func byteCount(t *testing.T, name, code, interpreter string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(name, code)
	write("six", "\x00\x01\x10\x20\xfe\xff")
	write("mine.toml", fmt.Sprintf("name = \"byte-count\"\nkind = \"command\"\ncommand = [%q, \"${TFPILOT_PAYLOAD_DIR}/%s\"]\n", interpreter, name))
	spec, err := payloadfile.Load(filepath.Join(dir, "mine.toml"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWrapper(t, spec, wrapper.Config{WorkDir: t.TempDir(), DataDir: dir})
	o := w.Run(t.Context(), slice(t, `{"filename":"six"}`))
	mustBeDone(t, o)
	if c := o.Result.Counts; c["frames"] != 10 || c["bytes"] != 6 {
		t.Errorf("%+v", o.Result)
	}
	mustFail(t, w.Run(t.Context(), slice(t, `{"filename":"missing"}`)), exitcode.DataMissing, "missing")
	if name == "count.py" {
		if h := o.Result.Histograms.Find("byte"); h == nil || h.Counts[0] != 2 || h.Counts[15] != 2 || o.Result.Outputs[0].SizeBytes == 0 {
			t.Errorf("%+v", o.Result)
		}
	}
}

func TestTheShellExampleOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	byteCount(t, "count.sh", example(t, "sh", "#!/bin/sh"), "/bin/sh")
}

func TestThePythonExampleOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	byteCount(t, "count.py", example(t, "python", "import json, os, sys\n\nslice_"), pythonHere(t))
}

func pythonHere(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	switch {
	case err == nil:
	case os.Getenv("REQUIRE_SERVICES") == "1":
		t.Fatal("no python3 on PATH")
	default:
		t.Skip("no python3 on PATH")
	}
	return python
}

func TestThePayloadOfTheDocsThatStaysWorks(t *testing.T) {
	t.Parallel()
	python := pythonHere(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "serve.py"), []byte(example(t, "python", "import json, os, sys\n\nreplies")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "six"), []byte("abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := staying(t, "exec "+python+" "+dir+"/serve.py", wrapper.Config{WorkDir: t.TempDir(), LogDir: t.TempDir(), DataDir: dir})
	for range 2 {
		o := w.Run(t.Context(), slice(t, `{"filename":"six"}`))
		mustBeDone(t, o)
		if o.Result.Counts["bytes"] != 6 || o.Result.Usage.Stderr != "working on r1\n" {
			t.Errorf("%+v", o.Result)
		}
		mustFail(t, w.Run(t.Context(), slice(t, `{"filename":"missing"}`)), exitcode.DataMissing, "missing")
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestThePayloadFilesOfTheDocsAreValid(t *testing.T) {
	t.Parallel()
	for _, text := range []string{example(t, "toml", `name    = "byte-count"`), example(t, "toml", `name = "load"`), example(t, "toml", `name    = "byte-count-resident"`)} {
		file := filepath.Join(t.TempDir(), "x.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := payloadfile.Load(file); err != nil {
			t.Error(err)
		}
	}
}

func TestTheHistogramOfTheDocsIsValid(t *testing.T) {
	t.Parallel()
	o := work(t, shell(leave(`{"histograms":[`+example(t, "json", `{"name": "track_pt"`)+`]}`)), slice(t, `{}`))
	mustBeDone(t, o)
	if err := (&hist.Set{}).Merge(o.Result.Histograms); err != nil {
		t.Error(err)
	}
}

func TestTheDocsNameEveryKeyVariableAndMode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	o := work(t, shell("env"+result), slice(t, `{}`))
	mustBeDone(t, o)
	names := regexp.MustCompile(`(?m)^TFPILOT_\w+`).FindAllString(o.Result.Usage.Stdout, -1)
	names = append(names, "counts", "histograms", "outputs", "warnings", "req_id", "name", "version", "kind", "command", "timeout", "grace", "env", "memory_mb", "disk_mb")
	for _, mode := range payloadfile.SyntheticModes() {
		names = append(names, "`"+mode+"`")
	}
	for _, name := range names {
		if !strings.Contains(string(text), name) {
			t.Errorf("%s does not stand in %s", name, docs)
		}
	}
}
