package stageout_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stageout"
)

// file is an output of this content.
func file(name, content string) stageout.File {
	return stageout.File{
		Name: name, SizeBytes: int64(len(content)), Adler32: fmt.Sprintf("%08x", adler32.Checksum([]byte(content))),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

func place(t *testing.T, text string) stageout.Place {
	t.Helper()
	p, err := stageout.ParsePlace(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// folder is a store in a new folder.
func folder(t *testing.T) (stageout.Folder, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := stageout.NewFolder(place(t, dir), place(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func deliver(t *testing.T, s stageout.Store, cfg stageout.Config, files ...stageout.File) []stageout.Placed {
	t.Helper()
	placed, err := stageout.Deliver(t.Context(), s, files, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

// holds compares everything that lies in a folder, hidden or not: names with contents.
func holds(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		got = append(got, path+"="+string(text))
		return err
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("there is %q, not %q (%v)", got, want, err)
	}
}

func TestOutputsComeToTheirFolder(t *testing.T) {
	t.Parallel()
	s, dir := folder(t)
	placed := deliver(t, s, stageout.Config{}, file("7/a.root", "tracks"), file("7/b.root", "hits"))
	holds(t, dir, "7/a.root=tracks", "7/b.root=hits")
	if a := file("", "tracks"); placed[0] != (stageout.Placed{Name: "7/a.root", SizeBytes: 6, Adler32: a.Adler32}) {
		t.Errorf("%+v", placed[0])
	}
}

func TestAGoodFileIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	s, dir := folder(t)
	deliver(t, s, stageout.Config{}, file("7/a", "first"))
	if p := deliver(t, s, stageout.Config{}, file("7/a", "first"))[0]; p.Kept {
		t.Errorf("the same once more: %+v", p)
	}
	// What the first result says of it stays true.
	p := deliver(t, s, stageout.Config{}, file("7/a", "second, and longer"), file("7/b", "new"))[0]
	if first := file("", "first"); !p.Kept || p.SizeBytes != 5 || p.Adler32 != first.Adler32 {
		t.Errorf("%+v", p)
	}
	holds(t, dir, "7/a=first", "7/b=new")
	if p := deliver(t, s, stageout.Config{Replace: true}, file("7/a", "third"))[0]; p.Kept {
		t.Errorf("%+v", p)
	}
	holds(t, dir, "7/a=third", "7/b=new")
}

func TestWhatAKilledPilotLeftIsNoHindrance(t *testing.T) {
	t.Parallel()
	s, dir := folder(t)
	if err := os.Mkdir(filepath.Join(dir, "7"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".a.part", "b"} { // b is empty, as after a power failure
		text := []byte("ha")
		if name == "b" {
			text = nil
		}
		if err := os.WriteFile(filepath.Join(dir, "7", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, s, stageout.Config{}, file("7/a", "half no more"), file("7/b", "b"))
	holds(t, dir, "7/a=half no more", "7/b=b")
}

func TestNothingStaysOfWhatDoesNotGo(t *testing.T) {
	t.Parallel()
	changed := file("7/b", "as measured")
	changed.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("AS measured")), nil }
	longer := changed
	longer.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("as measured, and more")), nil }
	gone := changed
	gone.Open = func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }
	for want, f := range map[string]stageout.File{"instead of the 11 bytes": changed, "12 bytes": longer, "file does not exist": gone} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s, dir := folder(t)
			_, err := stageout.Deliver(t.Context(), s, []stageout.File{file("7/a", "good"), f}, stageout.Config{})
			if exitcode.From(err) != exitcode.OutputFailed || !strings.Contains(err.Error(), "output 7/b: ") || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
			holds(t, dir)
		})
	}
}

func TestAFolderThatCannotBeUsedSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range [][2]string{{"/etc", "link"}, {"..", "up"}, {"/nowhere", "dangling"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "7", "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ base, at, words string }{
		"missing":        {"gone", "gone", "is its file system mounted?"},
		"a file":         {"file", "file", "not a directory"},
		"within a file":  {".", "file/x", "not a directory"},
		"links out":      {".", "link", "path escapes from parent"},
		"links upward":   {".", "up", "path escapes from parent"},
		"links nowhere":  {".", "dangling", "path escapes from parent"},
		"name is folder": {".", ".", "no plain file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := stageout.NewFolder(place(t, filepath.Join(dir, c.base)), place(t, filepath.Join(dir, c.at)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = stageout.Deliver(t.Context(), s, []stageout.File{file("7/a", "x")}, stageout.Config{})
			if exitcode.From(err) != exitcode.OutputFailed || !strings.Contains(err.Error(), c.words) {
				t.Error(err)
			}
		})
	}
}

func TestAFolderOutsideItsBaseIsRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/data", "/data/outputs", "/", "/data/out/../x"} {
		p, err := stageout.ParsePlace(at)
		if err == nil {
			_, err = stageout.NewFolder(place(t, "/data/out"), p)
		}
		if err == nil {
			t.Errorf("%s was taken", at)
		}
	}
	if _, err := stageout.NewFolder(place(t, "/"), place(t, "/data")); err != nil {
		t.Error(err)
	}
}

func TestAHoleIsReadNoLongerThanThereIsTime(t *testing.T) {
	t.Parallel()
	s, dir := folder(t)
	hole := stageout.File{Name: "7/hole", SizeBytes: 1 << 60, Open: func() (io.ReadCloser, error) { return io.NopCloser(zeros{}), nil }}
	_, err := stageout.Deliver(t.Context(), s, []stageout.File{hole}, stageout.Config{Timeout: 1})
	if exitcode.From(err) != exitcode.OutputFailed || !strings.Contains(err.Error(), "not done within 1ns") {
		t.Error(err)
	}
	holds(t, dir)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

var errBroken = errors.New("connection reset")

// memory is a store with faults.
type memory struct {
	mu    sync.Mutex // a step that nobody waits for any longer goes on
	files map[string][]byte
	// fault is asked before every step.
	fault func(step, name string) error
}

func (m *memory) step(step, name string) error {
	if m.fault == nil {
		return nil
	}
	return m.fault(step, name)
}

func (m *memory) put(name string, f stageout.File) error {
	defer m.lock()()
	if m.files[name] != nil {
		return fs.ErrExist
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	m.files[name] = b.Bytes()
	return err
}
