package rootfile_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/rbase"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rootfile"
)

var shopping = rootfile.Kind{Words: "shopping list", Next: "name a list", Damaged: "copy it again", MaxCount: 20}

// row is an entry of the tree of a test's file; the tags are the names of the branches.
type row struct {
	N     int32     `groot:"n"`
	Price []float32 `groot:"price[n]"`
	Size  [3]int16  `groot:"size[3]"`
}

// write makes a file with a text and a tree, of which entry number i has i prices.
func write(tb testing.TB, entries int) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "a.root")
	f, err := groot.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.Put("note", rbase.NewObjString("milk")); err != nil {
		tb.Fatal(err)
	}
	var r row
	w, err := rtree.NewWriter(f, "list", rtree.WriteVarsFromStruct(&r))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range entries {
		r = row{N: int32(i), Price: prices(i)}
		if _, err := w.Write(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		tb.Fatal(err)
	}
	return path
}

// prices are of all kinds, so that they do not become few bytes.
func prices(n int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = rng.Float32()
	}
	return out
}

func open(tb testing.TB, path string) *rootfile.File {
	tb.Helper()
	f, err := rootfile.Open(path, shopping)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return f
}

func tree(tb testing.TB, f *rootfile.File) *rootfile.Tree {
	tb.Helper()
	t, err := f.Tree("list")
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestWhatIsInAFileIsToldAndRead(t *testing.T) {
	t.Parallel()
	f := open(t, write(t, 10))
	if err := f.Need("note", "list"); err != nil || f.Has("bread") || !f.Has("note") {
		t.Errorf("%v", err)
	}
	if text, err := f.Text("note"); err != nil || text != "milk" {
		t.Errorf("%q, %v", text, err)
	}
	list := tree(t, f)
	want := map[string]rootfile.Branch{
		"n":     {Name: "n", Type: "int32"},
		"price": {Name: "price", Type: "float32", Counter: "n"},
		"size":  {Name: "size", Type: "int16", Array: true},
	}
	if diff := cmp.Diff(want, list.Branches()); diff != "" || list.Entries() != 10 {
		t.Errorf("%d entries %s", list.Entries(), diff)
	}
	var price []float32
	next := 4
	if err := list.Scan([]rtree.ReadVar{{Name: "price", Value: &price}}, 4, 6, func() error {
		if diff := cmp.Diff(prices(next), price); diff != "" {
			t.Error(diff)
		}
		next++
		return nil
	}); err != nil || next != 7 {
		t.Errorf("read until %d, %v", next, err)
	}
	stop := errors.New("enough")
	if err := list.Scan([]rtree.ReadVar{{Name: "price", Value: &price}}, 4, 6, func() error { return stop }); !errors.Is(err, stop) || exitcode.From(err) != exitcode.Internal {
		t.Errorf("got %v", err)
	}
}

func TestACountIsBoundedBeforeWhatItCountsIsRead(t *testing.T) {
	t.Parallel()
	list := tree(t, open(t, write(t, 30)))
	sum := 0
	if err := list.CheckCounts("n", 18, 20, func(n int) { sum += n }); err != nil || sum != 57 {
		t.Errorf("%d, %v", sum, err)
	}
	if err := list.CheckCounts("n", 18, 25, nil); exitcode.From(err) != exitcode.DataCorrupt || !strings.Contains(err.Error(), "n of entry 21 is 21") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherFileIsToldFromADamagedOne(t *testing.T) {
	t.Parallel()
	f := open(t, write(t, 1))
	_, noText := f.Text("list")
	_, noTree := f.Tree("note")
	_, nothing := f.Tree("bread")
	for _, c := range []struct {
		err        error
		want, next string
	}{
		{f.Need("note", "bread", "butter"), "is a ROOT file, but no shopping list: it has no bread, no butter; it holds note (TObjString), list (TTree)", "name a list"},
		{f.Corrupt(noText), "is damaged or no shopping list: list is a TTree", "copy it again"},
		{noTree, "is a ROOT file, but no shopping list: its note is a TObjString, not a TTree", "name a list"},
		{nothing, "is damaged or no shopping list: no tree bread in it", "copy it again"},
	} {
		if exitcode.From(c.err) != exitcode.DataCorrupt || !strings.Contains(c.err.Error(), f.Path()+" "+c.want) || exitcode.Next(c.err) != c.next {
			t.Errorf("%v (%s)", c.err, exitcode.Next(c.err))
		}
	}
}

// try writes a file's bytes, reads all of it, and says what the errors say; they are of class data, and a line.
func try(t *testing.T, path string, content []byte) (refused error) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	err := readAll(path)
	if err != nil && (exitcode.From(err) != exitcode.DataCorrupt || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500) {
		t.Errorf("%v", err)
	}
	return err
}

func readAll(path string) (err error) {
	f, err := rootfile.Open(path, shopping)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	defer f.Recover(&err)
	list, err := f.Tree("list")
	if err != nil {
		return err
	}
	last := int(list.Entries()) - 1
	if err := list.CheckCounts("n", 0, last, nil); err != nil {
		return err
	}
	var price []float32
	return list.Scan([]rtree.ReadVar{{Name: "price", Value: &price}}, 0, last, func() error { return nil })
}

func TestADamagedDescriptionOfTheTreesIsRefused(t *testing.T) {
	t.Parallel()
	path := write(t, 15)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The last objects are the tree's description, the keys and the streamer information.
	start := bytes.LastIndex(whole, []byte("TTree"))
	rng := rand.New(rand.NewPCG(8, 9))
	refused := 0
	const flips = 400
	for range flips {
		bad := bytes.Clone(whole)
		bad[start+rng.IntN(len(bad)-start)] ^= byte(1) << rng.IntN(8)
		if try(t, path, bad) != nil {
			refused++
		}
	}
	if refused < flips*8/10 {
		t.Errorf("%d of %d were refused", refused, flips)
	}
}

func TestATruncatedFileSaysHowMuchIsMissing(t *testing.T) {
	t.Parallel()
	path := write(t, 15)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if n > 100 && n%50 != 0 {
			continue
		}
		err := try(t, path, whole[:n])
		if err == nil || n > 100 && !strings.Contains(err.Error(), "bytes and has") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, dangling := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dangling, dir, "/dev/zero", ""} {
		_, err := rootfile.Open(path, shopping)
		if exitcode.From(err) != exitcode.DataMissing || path != "" && strings.Count(err.Error(), path) != 1 {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// away is a file on the other side of a network.
type away struct {
	*bytes.Reader
	lost, closed bool
}

var errAway = exitcode.New(exitcode.DataUnreachable, "the other side is away")

func (a *away) ReadAt(p []byte, at int64) (int, error) {
	if a.lost {
		return 0, errAway
	}
	return a.Reader.ReadAt(p, at)
}

func (a *away) Close() error { a.closed = true; return nil }

func TestAFileThatDoesNotComeIsNotADamagedOne(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(write(t, 600))
	if err != nil {
		t.Fatal(err)
	}
	openAt := func(src *away) (*rootfile.File, error) {
		return rootfile.OpenAt("far.root", src, int64(len(whole)), shopping)
	}
	src := &away{Reader: bytes.NewReader(whole), lost: true}
	if _, err := openAt(src); !errors.Is(err, errAway) || !src.closed {
		t.Errorf("closed %t, %v", src.closed, err)
	}
	src = &away{Reader: bytes.NewReader(whole)}
	f, err := openAt(src)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := f.Text("note"); err != nil || text != "milk" || f.BytesRead() == 0 || f.Path() != "far.root" {
		t.Errorf("%q, %v, %d bytes of %s", text, err, f.BytesRead(), f.Path())
	}
	list := tree(t, f)
	src.lost = true
	scan := func() (err error) {
		defer f.Recover(&err)
		var price []float32
		return list.Scan([]rtree.ReadVar{{Name: "price", Value: &price}}, 0, 599, func() error { return nil })
	}
	if err := scan(); !errors.Is(err, errAway) {
		t.Errorf("got %v", err)
	}
	if err := f.Close(); err != nil || !src.closed {
		t.Errorf("closed %t, %v", src.closed, err)
	}
}

func TestAPanicOfTheLibraryIsALineAboutTheFile(t *testing.T) {
	t.Parallel()
	broken := func() (err error) {
		defer rootfile.Recover(&err, "a.root")
		panic("rbytes: " + strings.Repeat("\x00\n", 500))
	}
	err := broken()
	if exitcode.From(err) != exitcode.DataCorrupt || !strings.HasPrefix(err.Error(), "a.root is damaged: rbytes: ??") || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
}
