package wrapper_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/wrapper"
)

// keeping is a wrapper whose outputs are kept as cfg says; its work directory is empty after each slice.
func keeping(t *testing.T, script string, cfg wrapper.OutputConfig) *wrapper.Wrapper {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in the work directory: %v, %v", left, err)
		}
	})
	return newWrapper(t, shell(script), wrapper.Config{WorkDir: dir, Output: cfg})
}

// makes writes an output, and a result that lists it.
func makes(content string) string {
	return "mkdir sub; printf %s '" + content + "' >sub/tracks.root\n" + leave(`{"counts":{"events":7},"outputs":[{"name":"sub/tracks.root"}]}`)
}

const kept = "7/x_slice_000_run_7_slice_0_s0_e9.sub%2Ftracks.root"

// content is what lies under a name; empty when nothing does.
func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	return string(b)
}

func TestOutputsAreKeptWhereTheSiteSays(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	w := keeping(t, makes("Wikipedia"), wrapper.OutputConfig{To: to})
	o := w.Run(t.Context(), slice(t, `{}`))
	mustBeDone(t, o)
	if got := o.Outputs()[0]; got.Place != filepath.Join(to, kept) || got.Name != "sub/tracks.root" || got.SizeBytes != 9 || got.Adler32 != "11e60398" || got.Kept {
		t.Errorf("%+v", got)
	}
	if o.Delivery.Took <= 0 || o.Returned.Add(o.Delivery.Took).After(o.Ended) || content(t, to, kept) != "Wikipedia" {
		t.Errorf("%+v, %q", o, content(t, to, kept))
	}
}

func TestASliceThatIsWorkedOnAgainDamagesNoGoodFile(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	first := keeping(t, makes("Wikipedia"), wrapper.OutputConfig{To: to}).Run(t.Context(), slice(t, `{}`))
	again := keeping(t, makes("Other bytes"), wrapper.OutputConfig{To: to}).Run(t.Context(), slice(t, `{"attempt":2}`))
	mustBeDone(t, first)
	mustBeDone(t, again)
	got, was := again.Outputs()[0], first.Outputs()[0]
	if was.Kept = true; got != was || content(t, to, kept) != "Wikipedia" {
		t.Errorf("%+v, not %+v; %s", got, was, content(t, to, kept))
	}
	anew := keeping(t, makes("Other bytes"), wrapper.OutputConfig{To: to, Replace: true}).Run(t.Context(), slice(t, `{}`))
	if mustBeDone(t, anew); content(t, to, kept) != "Other bytes" || anew.Outputs()[0].Kept {
		t.Errorf("%+v: %s", anew.Outputs(), content(t, to, kept))
	}
}

func TestASliceMayNameAPlaceWithinTheFence(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, roots := range [][]string{{"/nowhere", root}, {"/"}} {
		dest := filepath.Join(root, fmt.Sprint(len(roots)), "deep")
		w := keeping(t, makes("x"), wrapper.OutputConfig{To: t.TempDir(), Roots: roots})
		o := w.Run(t.Context(), slice(t, `{"dest_path":"`+dest+`"}`))
		if mustBeDone(t, o); content(t, dest, kept) != "x" || o.Outputs()[0].Place != filepath.Join(dest, kept) {
			t.Errorf("%+v", o.Outputs())
		}
	}
}

// Nothing of such a slice is run, nothing is written, and the next one is done.
func TestASliceWithTricksInItsNamesFailsAndTheSlotGoesOn(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 5000)
	ran := filepath.Join(t.TempDir(), "ran")
	w := keeping(t, "echo >>"+ran+"\n"+makes("x"), wrapper.OutputConfig{To: root, Roots: []string{root}})
	for name, over := range map[string]string{
		"dest_path elsewhere":        `{"dest_path":"/etc"}`,
		"dest_path beside":           `{"dest_path":"` + root + `side"}`,
		"dest_path relative":         `{"dest_path":"out"}`,
		"dest_path upward":           `{"dest_path":"` + root + `/../etc"}`,
		"dest_path on a server":      `{"dest_path":"https://evil.example.org/x"}`,
		"dest_path with a secret":    `{"dest_path":"https://me:secret@evil.example.org/x"}`,
		"dest_path with a line end":  `{"dest_path":"` + root + `/a\nb"}`,
		"dest_path with a NUL":       `{"dest_path":"` + root + `/a\u0000b"}`,
		"dest_path without end":      `{"dest_path":"` + root + `/` + long + `"}`,
		"dest_path no text":          `{"dest_path":7}`,
		"filename upward":            `{"filename":"../../etc/passwd"}`,
		"filename absolute, upward":  `{"filename":"/data/../etc/passwd"}`,
		"filename with a line end":   `{"filename":"a\nb"}`,
		"filename with a NUL":        `{"filename":"a\u0000b"}`,
		"filename without end":       `{"filename":"` + long + `"}`,
		"tf_filename upward":         `{"tf_filename":"../../x.tf"}`,
		"tf_filename with a NUL":     `{"tf_filename":"\u0000.tf"}`,
		"tf_filename without end":    `{"tf_filename":"` + long + `"}`,
		"tf_filename a little short": `{"tf_filename":"` + long[:250] + `"}`,
		"workdir upward":             `{"workdir":"../.."}`,
		"workdir with a line end":    `{"workdir":"a\nb"}`,
		"run_id with a line end":     `{"run_id":"7\n8"}`,
	} {
		s := slice(t, over)
		if strings.HasPrefix(name, "run_id") {
			s.RunID = s.Content.RunID
		}
		o := w.Run(t.Context(), s)
		if o.Err == nil || exitcode.From(o.Err) != exitcode.DataInvalid || strings.Contains(o.Err.Error(), "secret") || len(o.Err.Error()) > 1000 {
			t.Errorf("%s: %s: %v", name, exitcode.From(o.Err).Name, o.Err)
		}
		if strings.ContainsAny(fmt.Sprint(o.Err), "\x00") {
			t.Errorf("%s: %q", name, o.Err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a payload was run")
	}
	// Within the fence by name, but not by the file system. Only the payload's work shows it.
	mustFail(t, w.Run(t.Context(), slice(t, `{"dest_path":"`+root+`/link"}`)), exitcode.OutputFailed, "path escapes from parent")
	mustBeDone(t, w.Run(t.Context(), slice(t, `{}`)))
	if left, err := os.ReadDir(root); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}

// What is odd, and no trick, is a name like any other; nobody takes it for a command.
func TestOddNamesOfASliceMeanNothingToAnybody(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	w := keeping(t, makes("x"), wrapper.OutputConfig{To: to, Roots: []string{to}})
	for _, over := range []string{
		`{"tf_filename":"$(touch pwned);'\"|&<>*?.tf"}`, `{"tf_filename":"/etc/passwd"}`, `{"tf_filename":"-rf"}`, `{"tf_filename":"\ud800\uffff"}`, `{"tf_filename":"."}`,
		`{"filename":"$(touch pwned);'\"|&<>*?.stf"}`, `{"filename":"/etc/passwd"}`, `{"filename":"-rf"}`,
		`{"dest_path":"` + to + `/$(touch pwned)"}`, `{"workdir":"/etc"}`, `{"workdir":7}`,
	} {
		o := w.Run(t.Context(), slice(t, over))
		if o.Err != nil || content(t, o.Outputs()[0].Place, "") != "x" || !strings.HasPrefix(o.Outputs()[0].Place, to+"/") {
			t.Errorf("%s: %v, %+v", over, o.Err, o.Outputs())
		}
	}
	for _, run := range []string{"..", "a/b", "/", "$(touch pwned)", "-"} {
		s := slice(t, `{}`)
		if err := s.RunID.UnmarshalJSON([]byte(`"` + run + `"`)); err != nil {
			t.Fatal(err)
		}
		o := w.Run(t.Context(), s)
		if mustBeDone(t, o); filepath.Dir(o.Outputs()[0].Place) != filepath.Join(to, payloadfile.Portable(run)) {
			t.Errorf("%s: %+v", run, o.Outputs())
		}
	}
}

func TestOutputsThatCannotBeKeptFailTheSlice(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "gone")
	o := keeping(t, makes("x"), wrapper.OutputConfig{To: gone}).Run(t.Context(), slice(t, `{}`))
	mustFail(t, o, exitcode.OutputFailed, "keeping outputs in "+gone+"/7: ")
	if o.Outputs() != nil || o.Result.Usage.Wall == 0 {
		t.Errorf("%+v", o)
	}
	twice := leave(`{"outputs":[{"name":"a"},{"name":"./a"}]}`) + "echo >a"
	mustFail(t, keeping(t, twice, wrapper.OutputConfig{To: t.TempDir()}).Run(t.Context(), slice(t, `{}`)), exitcode.PayloadBadResult, `"a" and "./a" are one file`)
}

func TestAPlaceThatIsNoneIsWrongUse(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]wrapper.OutputConfig{
		"--output-to: place for outputs: scheme": {To: "s3://bucket/x"},
		"--dest-root: place for outputs: https":  {Roots: []string{"/ok", "https://me:secret@door/x"}},
		"--output-to: place for outputs: root":   {To: "root://door"},
	} {
		_, err := wrapper.New(shell("true"), nil, nil, wrapper.Config{Output: cfg})
		if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}
