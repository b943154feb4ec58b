package scaffold_test

import (
	"encoding/json"
	"fmt"
	"go/format"
	"hash/adler32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload/kinds"
	"tfpilot/wrapper"
	"tfpilot/wrapper/scaffold"
)

// tool finds the interpreter or compiler of a language.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("REQUIRE_SERVICES") == "1":
		t.Fatalf("no %s on PATH", name)
	default:
		t.Skipf("no %s on PATH", name)
	}
	return ""
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// write writes a payload and makes it ready.
func write(t *testing.T, kind payloadfile.Kind, language string) scaffold.Payload {
	t.Helper()
	p, err := scaffold.Write(filepath.Join(t.TempDir(), "my-hits_2"), kind, language)
	if err != nil {
		t.Fatal(err)
	}
	if language == "go" {
		run(t, p.Dir, tool(t, "go"), "build", "-o", "payload", ".")
	}
	return p
}

func slice(t *testing.T, p scaffold.Payload) message.Slice {
	t.Helper()
	body, err := os.ReadFile(p.Slice)
	if err != nil {
		t.Fatal(err)
	}
	s, err := message.Decode[message.Slice](body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsWrittenWorksAsItIs(t *testing.T) {
	t.Parallel()
	interpreters := map[string]string{"python": "python3", "bash": "bash", "go": "go"}
	tests := map[string][]string{"python": {"test_work.py"}, "bash": {"test_payload.sh"}, "go": {"test", "."}}
	for _, kind := range scaffold.Kinds() {
		for _, language := range scaffold.Languages() {
			if kind == payloadfile.KindResident && language == "bash" {
				continue // refused, see below
			}
			t.Run(fmt.Sprintf("%s in %s", kind, language), func(t *testing.T) {
				t.Parallel()
				program := tool(t, interpreters[language])
				p := write(t, kind, language)
				run(t, p.Dir, program, tests[language]...)

				spec, err := payloadfile.Load(p.Spec)
				if err != nil {
					t.Fatal(err)
				}
				inner, err := kinds.New(spec, "")
				if err != nil {
					t.Fatal(err)
				}
				w, err := wrapper.New(spec, inner, inner, wrapper.Config{WorkDir: t.TempDir(), DataDir: filepath.Dir(p.Slice)})
				if err != nil {
					t.Fatal(err)
				}
				o := w.Run(t.Context(), slice(t, p))
				if err := w.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if o.Err != nil || o.Result.Counts["frames"] != 8 || len(o.Result.Outputs) != 1 || o.Payload.Name != "my-hits_2" {
					t.Errorf("%v: %+v", o.Err, o.Result)
				}
			})
		}
	}
}

func TestTheGoTemplatesAreFormatted(t *testing.T) {
	t.Parallel()
	files := slices.Concat(write(t, payloadfile.KindCommand, "go").Files, write(t, payloadfile.KindResident, "go").Files)
	for _, f := range files {
		text, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := format.Source(text); filepath.Ext(f.Path) == ".go" && (err != nil || string(want) != string(text)) {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
}

func TestEveryFileIsExplainedAndNamedAfterThePayload(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"python", "bash"} {
		for _, f := range write(t, payloadfile.KindCommand, language).Files {
			text, err := os.ReadFile(f.Path)
			if err != nil || f.About == "" || strings.Contains(f.Path+string(text), "PAYLOAD_NAME") {
				t.Errorf("%+v: %v", f, err)
			}
		}
	}
}

func TestTheSliceIsThatOfItsFile(t *testing.T) {
	t.Parallel()
	p := write(t, payloadfile.KindCommand, "bash")
	c := slice(t, p).Content
	b, err := os.ReadFile(filepath.Join(filepath.Dir(p.Slice), c.Filename))
	if err != nil || c.Size.Int64() != int64(len(b)) || c.Adler32 != fmt.Sprintf("%08x", adler32.Checksum(b)) || c.Frames() != 8 {
		t.Errorf("%v: %d bytes, %08x, slice %+v", err, len(b), adler32.Checksum(b), c)
	}
}

func TestWhatIsThereIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"file": "is there already, and is left alone", filepath.Base(dir): "is no name for a payload"} {
		if _, err := scaffold.Write(filepath.Join(dir, name), payloadfile.KindCommand, "bash"); exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestWhatHasNoTemplateIsWrongUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, kind, language, want string }{
		{"x", "command", "cobol", "none of python, go, bash"},
		{"x", "synthetic", "go", "--kind"},
		{"x", "resident", "bash", "take --lang python or go"},
		{"-x", "command", "go", "no name"},
		{"x y", "command", "go", "no name"},
		{"..", "command", "go", "no name"},
		{"x\n", "command", "go", "no name"},
	} {
		dir := filepath.Join(t.TempDir(), "new") + "/" + c.name
		_, err := scaffold.Write(dir, payloadfile.Kind(c.kind), c.language)
		if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if _, err := os.Stat(filepath.Dir(dir)); err == nil {
			t.Errorf("%+v: a folder was made", c)
		}
	}
}

func TestTheListOfFilesIsJSONToo(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(write(t, payloadfile.KindCommand, "bash"))
	if err != nil || !strings.Contains(string(b), `"spec":"`) || !strings.Contains(string(b), `"about":"a slice to try it on"`) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestWhatCannotBeWrittenWholeIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	const longest = 4095 // of a path, for the kernel
	parent := t.TempDir()
	for len(parent) < longest-300 {
		parent = filepath.Join(parent, strings.Repeat("d", 200))
	}
	parent = filepath.Join(parent, strings.Repeat("d", longest-len(parent)-len("/mine/")-1))
	dir := filepath.Join(parent, "mine") // the folder has a place, its files have none
	_, err := scaffold.Write(dir, payloadfile.KindCommand, "bash")
	if exitcode.From(err) != exitcode.SiteNoSpace || !strings.Contains(exitcode.Next(err), "may write") {
		t.Errorf("%.100v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
