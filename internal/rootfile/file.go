package rootfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/root"

	"tfpilot/internal/exitcode"
)

// Kind is what a ROOT file is meant to be.
type Kind struct {
	// Words name it.
	Words string
	// Next is what to do about a file that was never meant, Damaged about a damaged one; empty: what the table of failures says.
	Next, Damaged string
	// MaxCount is what [Tree.CheckCounts] lets pass.
	MaxCount int32
}

// File is an open ROOT file whose structure has been checked. One goroutine uses it at a time.
type File struct {
	path  string
	kind  Kind
	src   io.Closer
	cache *blockCache
	root  *groot.File
}

// Source is where the bytes of a file are.
type Source interface {
	io.ReaderAt
	io.Closer
}

// Open opens a file. One that is not there, and one that is no ROOT file, are errors of class data.
func Open(path string, meant Kind) (*File, error) {
	// Asked before opening: that would wait at a named pipe until somebody writes into it.
	info, err := os.Stat(path)
	if err != nil {
		return nil, exitcode.New(exitcode.DataMissing, "opening %s: %w", path, Cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, exitcode.New(exitcode.DataMissing, "opening %s: not a file", path)
	}
	src, err := os.Open(path)
	if err != nil {
		return nil, exitcode.New(exitcode.DataMissing, "opening %s: %w", path, Cause(err))
	}
	return open(path, src, info.Size(), meant)
}

// OpenAt opens a file that lies far away; name is for messages. An error of src that has a place in the table of failures is
// returned as it is. src is closed with the file, or when it cannot be opened.
func OpenAt(name string, src Source, size int64, meant Kind) (*File, error) {
	f, err := open(name, src, size, meant)
	if err != nil {
		return nil, err
	}
	f.cache.far = true
	return f, nil
}

// open checks the structure of a file.
func open(path string, src Source, size int64, meant Kind) (f *File, err error) {
	defer func() {
		if err != nil {
			_ = src.Close()
			f = nil
		}
	}()
	f = &File{path: path, kind: meant, src: src, cache: newBlockCache(src, size)}
	defer f.Recover(&err)
	if err := checkStructure(f.cache, size); errors.Is(err, errNoROOT) {
		return nil, exitcode.WithNext(f.Corrupt(err), meant.Next)
	} else if err != nil {
		return nil, f.Corrupt(err)
	}
	if f.root, err = groot.NewReader(f.cache); err != nil {
		return nil, f.Corrupt(err)
	}
	return f, nil
}

// Close closes the file, and what its bytes come from.
func (f *File) Close() (err error) {
	defer func() { err = errors.Join(err, f.src.Close()) }() // whatever the library makes of a damaged file
	defer f.Recover(&err)
	return f.root.Close()
}

// Path is where the file is, or its name.
func (f *File) Path() string { return f.path }

// BytesRead is how many bytes were read from the file.
func (f *File) BytesRead() int64 {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	return f.cache.bytes
}

// Need tells another ROOT file, which is whole but not what was meant, from a damaged one.
func (f *File) Need(names ...string) error {
	holds := []string{}
	for _, k := range f.root.Keys() {
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
	return f.Other("it has no %s; it holds %s", strings.Join(names, ", no "), line(strings.Join(holds, ", ")))
}

// Has says whether there is something of a name.
func (f *File) Has(name string) bool {
	for _, k := range f.root.Keys() {
		if k.Name() == name {
			return true
		}
	}
	return false
}

// Text is the text under a name.
func (f *File) Text(name string) (string, error) {
	object, err := f.root.Get(name)
	if err != nil {
		return "", fmt.Errorf("no %s in it: %w", name, err)
	}
	text, ok := object.(root.ObjString)
	if !ok {
		return "", fmt.Errorf("%s is a %s", name, object.Class())
	}
	return text.String(), nil
}

// Other is the error of a ROOT file that is not of the kind that was meant.
func (f *File) Other(format string, args ...any) error {
	return exitcode.WithNext(exitcode.New(exitcode.DataCorrupt, "%s is a ROOT file, but no %s: %s",
		f.path, f.kind.Words, fmt.Sprintf(format, args...)), f.kind.Next)
}

// Corrupt is an error of class data that names the file; an error with a place of its own keeps it.
func (f *File) Corrupt(err error) error {
	if f := exitcode.From(err); f != exitcode.Internal {
		return err
	}
	err = exitcode.New(exitcode.DataCorrupt, "%s is damaged or no %s: %s", f.path, f.kind.Words, line(err))
	if f.kind.Damaged != "" {
		err = exitcode.WithNext(err, f.kind.Damaged)
	}
	return err
}

// Recover is deferred: it turns a panic of the ROOT library into an error of class data. What the library makes of bytes that did not
// come is no matter: then the error is why they did not.
func (f *File) Recover(err *error) {
	if p := recover(); p != nil {
		*err = panicError(f.path, p)
	}
	if lost := f.cache.lost(); *err != nil && lost != nil {
		*err = lost
	}
}
