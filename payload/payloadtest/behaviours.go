package payloadtest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/wrapper"
)

// behaviour is what a program does with a slice, and what that ends in.
type behaviour struct {
	name    string
	Verdict // done when nothing is said

	// spec gives the payload the limits that are met.
	spec func(s *payloadfile.Spec)
	// waits says that the program uses no processor while it waits for its end.
	waits bool
	// program is another one, which cannot be started.
	program func(t *testing.T) string
	// check looks at the rest of the outcome.
	check func(t *testing.T, k Kind, o wrapper.Outcome)
}

// success is what a good slice's input is called, and what its result counts.
const success = "success"

// diesBetween is what ends well after a slice, in a kind that stays.
const diesBetween = "dies between slices"

// shortTime is far more than a good slice needs, and what one that hangs takes.
func shortTime(s *payloadfile.Spec) { s.Timeout = 5 * time.Second }

// behaviours are all that a kind is held to. What they do is in acts.
var behaviours = []behaviour{
	{name: success},
	{name: "permanent failure", Verdict: Verdict{exitcode.PayloadPermanent, "never will it"}},
	{name: "transient failure", Verdict: Verdict{exitcode.PayloadFailed, "not this time"}},
	{name: "data failure", Verdict: Verdict{exitcode.DataCorrupt, "a frame is damaged"}},
	{name: "crash", Verdict: Verdict{exitcode.PayloadCrashed, "segmentation fault"}},
	{name: "killed by nobody knows whom", Verdict: Verdict{exitcode.PayloadCrashed, "killed"}},
	{name: "hang", Verdict: Verdict{exitcode.PayloadTimeout, "longer than its 5s"}, spec: shortTime, waits: true},
	{name: "ignores TERM", Verdict: Verdict{exitcode.PayloadTimeout, "longer than its 5s"}, spec: shortTime, waits: true},
	{name: "answers late", Verdict: Verdict{exitcode.PayloadTimeout, "longer than its 5s"}, spec: shortTime, waits: true},
	{name: "leaves daemons", check: func(t *testing.T, k Kind, o wrapper.Outcome) {
		t.Helper()
		if o.Result.Usage.LeftBehind != daemons && !k.Stays {
			t.Errorf("%d were left behind", o.Result.Usage.LeftBehind)
		}
	}},
	{name: "floods its output", check: func(t *testing.T, _ Kind, o wrapper.Outcome) {
		t.Helper()
		const most = 40 << 10
		if u := o.Result.Usage; len(u.Stdout) > most || len(u.Stderr) > most || len(u.Stdout)+len(u.Stderr) < most/4 {
			t.Errorf("%d and %d bytes of what it printed are kept", len(u.Stdout), len(u.Stderr))
		}
	}},
	{name: "prints garbage"},
	{name: "no result", Verdict: Verdict{exitcode.PayloadNoResult, "left no result"}},
	{name: "broken result", Verdict: Verdict{exitcode.PayloadBadResult, "its result: "}},
	{name: "result of another slice", Verdict: Verdict{exitcode.PayloadBadResult, "it is of slice \"another\""}},
	{name: "answers twice", Verdict: Verdict{exitcode.PayloadBadResult, "more than one JSON document"}},
	{name: diesBetween},
	{name: "takes too much memory", Verdict: Verdict{exitcode.PayloadMemory, "of 256 MB"}, spec: func(s *payloadfile.Spec) { s.MemoryMB = 256 }},
	{name: "takes too much CPU", Verdict: Verdict{exitcode.PayloadLimit, "of 1s"}, spec: func(s *payloadfile.Spec) { s.Limits.CPU = time.Second }},
	{name: "opens too many files", Verdict: Verdict{exitcode.PayloadLimit, " of 100"}, waits: true, spec: func(s *payloadfile.Spec) { s.Limits.OpenFiles = 100 }},
	{name: "does nothing", Verdict: Verdict{exitcode.PayloadLooping, "looping = 2s"}, waits: true, spec: func(s *payloadfile.Spec) { s.Limits.Looping = 2 * time.Second }},
	{name: "is slow", waits: true, spec: func(s *payloadfile.Spec) { s.Limits.Looping = 4 * time.Second }},
	{name: "writes 10 GB", Verdict: Verdict{exitcode.PayloadLimit, "of 8 MB in its folder"}, spec: func(s *payloadfile.Spec) { s.DiskMB = 8 }},
	{name: "writes a hole of 10 GB", spec: func(s *payloadfile.Spec) { s.DiskMB = 8 }},
	{name: "makes too large an output", Verdict: Verdict{exitcode.PayloadLimit, "too much output: 3 of 2 MB"}, spec: func(s *payloadfile.Spec) { s.Limits.OutputMB = 2 }},
	{name: "deletes its work directory", Verdict: Verdict{exitcode.PayloadNoResult, "left no result"}},
	{name: "changes its limits", Verdict: Verdict{exitcode.PayloadCrashed, "killed"}},
	{name: "lacks a library", Verdict: Verdict{exitcode.SiteNoProgram, "lacks a library on this node: "}, program: lacksLibrary},
	{name: "has a wrong interpreter line", Verdict: Verdict{exitcode.SiteNoProgram, `the interpreter in its first line, "/no/such/interpreter"`}, program: wrongInterpreter},
}

func wrongInterpreter(t *testing.T) string {
	t.Helper()
	return program(t, []byte("#!/no/such/interpreter\n"))
}

// lacksLibrary is a program of this machine that wants a library which it does not have.
func lacksLibrary(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	const library = "libc.so.6\x00"
	if !bytes.Contains(b, []byte(library)) {
		t.Fatal("/bin/true of this machine does not want " + library)
	}
	return program(t, bytes.ReplaceAll(b, []byte(library), []byte("libx.so.9\x00")))
}

func program(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
