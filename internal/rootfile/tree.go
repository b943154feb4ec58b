package rootfile

import (
	"fmt"
	"strings"

	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
)

// Tree is a tree of a file.
type Tree struct {
	file *File
	tree rtree.Tree
}

// Branch is one with a single leaf: the name of its type, and of the branch that counts its values, if any does.
type Branch struct {
	Name, Type, Counter string
	// Array says that each of its values is an array of a fixed length.
	Array bool
}

// Tree is the tree of a name.
func (f *File) Tree(name string) (*Tree, error) {
	for _, k := range f.root.Keys() {
		// Asked before it is read: the library panics on an RNTuple, which uproot writes when not told otherwise.
		if k.Name() == name && !strings.HasPrefix(k.ClassName(), "TTree") && !strings.HasPrefix(k.ClassName(), "TNtuple") {
			return nil, f.Other("its %s is a %s, not a TTree", name, line(k.ClassName()))
		}
	}
	f.cache.only(false)
	defer f.cache.only(true)
	object, err := f.root.Get(name)
	if err != nil {
		return nil, f.Corrupt(fmt.Errorf("no tree %s in it: %w", name, err))
	}
	t, ok := object.(rtree.Tree)
	if !ok {
		return nil, f.Corrupt(fmt.Errorf("%s is a %s", name, object.Class()))
	}
	return &Tree{f, t}, nil
}

// Entries is how many it has.
func (t *Tree) Entries() int64 { return t.tree.Entries() }

// Branches are those with a single leaf, by name.
func (t *Tree) Branches() map[string]Branch {
	found := map[string]Branch{}
	for _, b := range t.tree.Branches() {
		leaves := b.Leaves()
		if len(leaves) != 1 {
			continue
		}
		f := Branch{Name: b.Name(), Type: strings.TrimPrefix(leaves[0].TypeName(), "[]"), Array: len(leaves[0].Shape()) > 0}
		if count := leaves[0].LeafCount(); count != nil {
			f.Counter = count.Name()
		}
		found[f.Name] = f
	}
	return found
}

// CheckCounts reads a count alone and bounds it, for entries first..last (inclusive): the library allocates what it says. each, if
// not nil, is told of every one.
func (t *Tree) CheckCounts(count string, first, last int, each func(n int)) error {
	var n int32
	due := first
	return t.Scan([]rtree.ReadVar{{Name: count, Value: &n}}, first, last, func() error {
		if n < 0 || n > t.file.kind.MaxCount {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: %s of entry %d is %d", t.file.path, count, due, n)
		}
		if each != nil {
			each(int(n))
		}
		due++
		return nil
	})
}

// Scan reads the entries first..last (inclusive) into vars and calls fn for each. It tells the library's errors from those of fn,
// which are returned as they are.
func (t *Tree) Scan(vars []rtree.ReadVar, first, last int, fn func() error) error {
	reader, err := rtree.NewReader(t.tree, vars, rtree.WithRange(int64(first), int64(last)+1))
	if err != nil {
		return t.file.Corrupt(err)
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
		return t.file.Corrupt(err)
	}
	return nil
}
