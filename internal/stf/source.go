package stf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/root"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
)

// content is what a ROOT file is to hold, in words, and what to do about one that was never meant, and about a damaged one: when
// empty, what the table of failures says.
type content struct{ words, next, damaged string }

// source is an open ROOT file whose structure has been checked. One goroutine uses it at a time.
type source struct {
	path    string
	content content
	src     io.Closer
	cache   *blockCache
	file    *groot.File
}

// openSource opens a file. One that is not there, and one that is no ROOT file, are errors of class data.
func openSource(path string, want content) (s *source, err error) {
	// Asked before opening: that would wait at a named pipe until somebody writes into it.
	info, err := os.Stat(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, exitcode.New(exitcode.DataMissing, "opening %s: not a file", path)
	}
	src, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	return newSource(path, src, info.Size(), want)
}

// file is where the bytes of a source are.
type file interface {
	io.ReaderAt
	io.Closer
}

// newSource checks the structure of an open file, which it closes when it fails.
func newSource(path string, src file, size int64, want content) (s *source, err error) {
	defer func() {
		if err != nil {
			_ = src.Close()
			s = nil
		}
	}()
	s = &source{path: path, content: want, src: src, cache: newBlockCache(src, size)}
	defer s.recoverInto(&err)
	if err := checkStructure(s.cache, size); errors.Is(err, errNoROOT) {
		return nil, exitcode.WithNext(s.corrupt(err), want.next)
	} else if err != nil {
		return nil, s.corrupt(err)
	}
	if s.file, err = groot.NewReader(s.cache); err != nil {
		return nil, s.corrupt(err)
	}
	return s, nil
}

// recoverInto is the function of that name. What the library makes of bytes that did not come is no matter.
func (s *source) recoverInto(err *error) {
	if p := recover(); p != nil {
		*err = panicError(s.path, p)
	}
	if lost := s.cache.lost(); *err != nil && lost != nil {
		*err = lost
	}
}

// Close closes the file.
func (s *source) Close() (err error) {
	defer s.recoverInto(&err)
	return errors.Join(s.file.Close(), s.src.Close())
}

// BytesRead is how many bytes were read from the file.
func (s *source) BytesRead() int64 {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	return s.cache.bytes
}

// needKeys tells another ROOT file, which is whole but not ours, from a damaged one.
func (s *source) needKeys(names ...string) error {
	holds := []string{}
	for _, k := range s.file.Keys() {
		names = slices.DeleteFunc(names, func(name string) bool { return name == k.Name() })
		holds = append(holds, fmt.Sprintf("%s (%s)", k.Name(), k.ClassName()))
	}
	if len(names) == 0 {
		return nil
	}
	const most = 10
	if more := len(holds) - most; more > 0 {
		holds = append(holds[:most], fmt.Sprintf("%d more", more))
	}
	if len(holds) == 0 {
		holds = []string{"nothing"}
	}
	return s.other("it has no %s; it holds %s", strings.Join(names, ", no "), line(strings.Join(holds, ", ")))
}

// other is the error of a ROOT file that is not of the kind that was meant.
func (s *source) other(format string, args ...any) error {
	return exitcode.WithNext(exitcode.New(exitcode.DataCorrupt, "%s is a ROOT file, but no %s: %s",
		s.path, s.content.words, fmt.Sprintf(format, args...)), s.content.next)
}

// has says whether there is something of a name.
func (s *source) has(name string) bool {
	for _, k := range s.file.Keys() {
		if k.Name() == name {
			return true
		}
	}
	return false
}

func (s *source) text(key string) (string, error) {
	object, err := s.file.Get(key)
	if err != nil {
		return "", fmt.Errorf("no %s in it: %w", key, err)
	}
	text, ok := object.(root.ObjString)
	if !ok {
		return "", fmt.Errorf("%s is a %s", key, object.Class())
	}
	return text.String(), nil
}

func (s *source) tree(name string) (rtree.Tree, error) {
	for _, k := range s.file.Keys() {
		// Asked before it is read: the library panics on an RNTuple, which uproot writes when not told otherwise.
		if k.Name() == name && !strings.HasPrefix(k.ClassName(), "TTree") && !strings.HasPrefix(k.ClassName(), "TNtuple") {
			return nil, s.other("its %s is a %s, not a TTree", name, line(k.ClassName()))
		}
	}
	s.cache.only(false)
	defer s.cache.only(true)
	object, err := s.file.Get(name)
	if err != nil {
		return nil, s.corrupt(fmt.Errorf("no tree %s in it: %w", name, err))
	}
	t, ok := object.(rtree.Tree)
	if !ok {
		return nil, s.corrupt(fmt.Errorf("%s is a %s", name, object.Class()))
	}
	return t, nil
}

// corrupt is an error of class data that names the file; an error with a place of its own keeps it.
func (s *source) corrupt(err error) error {
	if f := exitcode.From(err); f != exitcode.Internal {
		return err
	}
	err = exitcode.New(exitcode.DataCorrupt, "%s is damaged or no %s: %s", s.path, s.content.words, line(err))
	if s.content.damaged != "" {
		err = exitcode.WithNext(err, s.content.damaged)
	}
	return err
}

// branch is one with a single leaf: the name of its type, and of the branch that counts its values, if any does.
type branch struct {
	name, typeName, counter string
	// array says that each of its values is an array of a fixed length.
	array bool
}

// branches are those of a tree with a single leaf, by name.
func branches(tree rtree.Tree) map[string]branch {
	found := map[string]branch{}
	for _, b := range tree.Branches() {
		leaves := b.Leaves()
		if len(leaves) != 1 {
			continue
		}
		f := branch{name: b.Name(), typeName: strings.TrimPrefix(leaves[0].TypeName(), "[]"), array: len(leaves[0].Shape()) > 0}
		if count := leaves[0].LeafCount(); count != nil {
			f.counter = count.Name()
		}
		found[f.name] = f
	}
	return found
}

// checkCounts reads a count alone and bounds it: the library allocates what it says. each, if not nil, is told of every one.
func (s *source) checkCounts(tree rtree.Tree, count string, first, last int, each func(n int)) error {
	var n int32
	due := first
	return s.scan(tree, []rtree.ReadVar{{Name: count, Value: &n}}, first, last, func() error {
		if n < 0 || n > MaxHits {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: %s of entry %d is %d", s.path, count, due, n)
		}
		if each != nil {
			each(int(n))
		}
		due++
		return nil
	})
}

// scan reads a range of a tree and tells the library's errors from the callback's.
func (s *source) scan(tree rtree.Tree, vars []rtree.ReadVar, first, last int, fn func() error) error {
	reader, err := rtree.NewReader(tree, vars, rtree.WithRange(int64(first), int64(last)+1))
	if err != nil {
		return s.corrupt(err)
	}
	defer func() { _ = reader.Close() }()
	var own error
	err = reader.Read(func(rtree.RCtx) error {
		own = fn()
		return own
	})
	switch {
	case own != nil:
		return own
	case err != nil:
		return s.corrupt(err)
	}
	return nil
}
