package stf

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/root"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
)

// Reader reads one file. One goroutine uses it at a time.
type Reader struct {
	path     string
	src      *os.File
	cache    *blockCache
	file     *groot.File
	hits     rtree.Tree
	geometry Geometry
	extra    []column

	scratch []byte
}

// column is a counted numeric branch that is not of the schema.
type column struct {
	name, typeName string
}

// schema are the branches that every file has, with the types of their leaves.
var schema = map[string]string{
	"tf": "int32", "nhit": "int32", "time": "float64", "x": "float32", "y": "float32", "z": "float32", "layer": "int32", "crc": "uint32",
}

// Open opens a file and checks its schema. A file that is not there, and one that is no time-frame file, are errors of class
// data.
func Open(path string) (r *Reader, err error) {
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
	defer func() {
		if err != nil {
			_ = src.Close()
			r = nil
		}
	}()
	defer recoverInto(&err, path)
	r = &Reader{path: path, src: src, cache: newBlockCache(src, info.Size())}
	if err := checkStructure(r.cache, info.Size()); errors.Is(err, errNoROOT) {
		return nil, exitcode.WithNext(r.corrupt(err), nextFile)
	} else if err != nil {
		return nil, r.corrupt(err)
	}
	if r.file, err = groot.NewReader(r.cache); err != nil {
		return nil, r.corrupt(err)
	}
	return r, r.open()
}

// nextFile is what to do about a file that was never meant.
const nextFile = "name an STF file, as `daq generate` and `daq run` write them"

// checkKeys tells another ROOT file, which is whole but not ours, from a damaged one.
func (r *Reader) checkKeys() error {
	missing, holds := []string{hitsTree, geometryKey, geometryCRCKey}, []string{}
	for _, k := range r.file.Keys() {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == k.Name() })
		holds = append(holds, fmt.Sprintf("%s (%s)", k.Name(), k.ClassName()))
	}
	if len(missing) == 0 {
		return nil
	}
	const most = 10
	if more := len(holds) - most; more > 0 {
		holds = append(holds[:most], fmt.Sprintf("%d more", more))
	}
	if len(holds) == 0 {
		holds = []string{"nothing"}
	}
	return exitcode.WithNext(exitcode.New(exitcode.DataCorrupt, "%s is a ROOT file, but no time-frame file: it has no %s; it holds %s",
		r.path, strings.Join(missing, ", no "), line(strings.Join(holds, ", "))), nextFile)
}

func (r *Reader) open() error {
	if err := r.checkKeys(); err != nil {
		return err
	}
	if err := r.readGeometry(); err != nil {
		return r.corrupt(err)
	}
	var err error
	if r.hits, err = r.tree(hitsTree); err != nil {
		return err
	}
	found := map[string]string{}
	for _, b := range r.hits.Branches() {
		if leaves := b.Leaves(); len(leaves) == 1 {
			found[b.Name()] = leaves[0].TypeName()
			if _, known := schema[b.Name()]; !known && leaves[0].LeafCount() != nil && leaves[0].LeafCount().Name() == "nhit" {
				r.extra = append(r.extra, column{b.Name(), leaves[0].TypeName()})
			}
		}
	}
	for name, want := range schema {
		if got, ok := found[name]; !ok {
			return r.corrupt(fmt.Errorf("tree %s has no branch %s", hitsTree, name))
		} else if strings.TrimPrefix(got, "[]") != want {
			return r.corrupt(fmt.Errorf("branch %s holds %s, not %s", name, got, want))
		}
	}
	slices.SortFunc(r.extra, func(a, b column) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (r *Reader) readGeometry() error {
	text, err := r.text(geometryKey)
	if err != nil {
		return err
	}
	stored, err := r.text(geometryCRCKey)
	if err != nil {
		return err
	}
	if sum := geometryCRC([]byte(text)); sum != stored {
		return fmt.Errorf("the geometry has the checksum %s, stored is %.8q", sum, stored)
	}
	if err := json.Unmarshal([]byte(text), &r.geometry); err != nil {
		return fmt.Errorf("decoding the geometry: %w", err)
	}
	return r.geometry.Validate()
}

func (r *Reader) text(key string) (string, error) {
	object, err := r.file.Get(key)
	if err != nil {
		return "", fmt.Errorf("no %s in it: %w", key, err)
	}
	text, ok := object.(root.ObjString)
	if !ok {
		return "", fmt.Errorf("%s is a %s", key, object.Class())
	}
	return text.String(), nil
}

func (r *Reader) tree(name string) (rtree.Tree, error) {
	r.cache.only(false)
	defer r.cache.only(true)
	object, err := r.file.Get(name)
	if err != nil {
		return nil, r.corrupt(fmt.Errorf("no tree %s in it: %w", name, err))
	}
	t, ok := object.(rtree.Tree)
	if !ok {
		return nil, r.corrupt(fmt.Errorf("%s is a %s", name, object.Class()))
	}
	return t, nil
}

// corrupt is an error of class data that names the file; an error with a place of its own keeps it.
func (r *Reader) corrupt(err error) error {
	if f := exitcode.From(err); f != exitcode.Internal {
		return err
	}
	return exitcode.New(exitcode.DataCorrupt, "%s is damaged or no time-frame file: %s", r.path, line(err))
}

// Close closes the file.
func (r *Reader) Close() (err error) {
	defer recoverInto(&err, r.path)
	return errors.Join(r.file.Close(), r.src.Close())
}

// Geometry is the detector that made the file.
func (r *Reader) Geometry() Geometry { return r.geometry }

// Frames is the number of frames in the file.
func (r *Reader) Frames() int { return int(r.hits.Entries()) }

// BytesRead is how many bytes were read from the file.
func (r *Reader) BytesRead() int64 {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	return r.cache.bytes
}

// checkRange refuses frames that are not in the file.
func (r *Reader) checkRange(first, last int) error {
	if first < 0 || last < first || last >= r.Frames() {
		return exitcode.New(exitcode.DataRange, "frames %d to %d of %s: it holds 0 to %d", first, last, r.path, r.Frames()-1)
	}
	return nil
}

// Read calls fn for the frames first..last (inclusive) in order. The frame is valid during the call. Every frame's crc is
// checked before fn sees it; a wrong one ends the reading with an error of class data. fn's error is returned as it is.
func (r *Reader) Read(first, last int, fn func(*Frame) error) (err error) {
	if err := r.checkRange(first, last); err != nil {
		return err
	}
	defer recoverInto(&err, r.path)
	if err := r.checkCounts(r.hits, "nhit", first, last); err != nil {
		return err
	}
	var (
		f        Frame
		tf, nhit int32
		crc      uint32
	)
	vars := []rtree.ReadVar{
		{Name: "tf", Value: &tf},
		{Name: "nhit", Value: &nhit},
		{Name: "time", Value: &f.Time},
		{Name: "x", Value: &f.X},
		{Name: "y", Value: &f.Y},
		{Name: "z", Value: &f.Z},
		{Name: "layer", Value: &f.Layer},
		{Name: "crc", Value: &crc},
	}
	extra := map[string]any{}
	for _, c := range r.extra {
		if p := columnFor(c.typeName); p != nil {
			extra[c.name] = p
			vars = append(vars, rtree.ReadVar{Name: c.name, Value: p})
		}
	}
	due := first
	return r.scan(r.hits, vars, first, last, func() error {
		f.TF = int(tf)
		if len(extra) > 0 {
			f.Extra = make(map[string]any, len(extra))
			for name, p := range extra {
				f.Extra[name] = columnValue(p)
			}
		}
		if f.TF != due || int(nhit) != len(f.Time) {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: frame %d says that it is %d with %d hits", r.path, due, tf, nhit)
		}
		if err := f.check(); err != nil {
			return r.corrupt(err)
		}
		sum, scratch, err := f.crc(r.scratch)
		r.scratch = scratch
		if err != nil {
			return r.corrupt(err)
		}
		if sum != crc {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: frame %d has the checksum %08x, stored is %08x", r.path, due, sum, crc)
		}
		due++
		return fn(&f)
	})
}

// checkCounts reads a count alone and bounds it: the library allocates what it says.
func (r *Reader) checkCounts(tree rtree.Tree, count string, first, last int) error {
	var n int32
	due := first
	return r.scan(tree, []rtree.ReadVar{{Name: count, Value: &n}}, first, last, func() error {
		if n < 0 || n > MaxHits {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: %s of frame %d is %d", r.path, count, due, n)
		}
		due++
		return nil
	})
}

// ReadTruth calls fn for the truth of the frames first..last (inclusive).
func (r *Reader) ReadTruth(first, last int, fn func(tf int, t *Truth) error) (err error) {
	if err := r.checkRange(first, last); err != nil {
		return err
	}
	defer recoverInto(&err, r.path)
	tree, err := r.tree(truthTree)
	if err != nil {
		return err
	}
	if int64(last) >= tree.Entries() {
		return exitcode.New(exitcode.DataMissing, "%s has no truth for frame %d", r.path, last)
	}
	for _, count := range []string{"nevt", "ntrk", "nref"} {
		if err := r.checkCounts(tree, count, first, last); err != nil {
			return err
		}
	}
	var t Truth
	var tf int32
	return r.scan(tree, []rtree.ReadVar{
		{Name: "tf", Value: &tf},
		{Name: "evt_time", Value: &t.EventTime},
		{Name: "evt_x", Value: &t.EventX},
		{Name: "evt_y", Value: &t.EventY},
		{Name: "evt_z", Value: &t.EventZ},
		{Name: "trk_evt", Value: &t.TrackEvent},
		{Name: "trk_pt", Value: &t.TrackPT},
		{Name: "trk_eta", Value: &t.TrackEta},
		{Name: "trk_phi", Value: &t.TrackPhi},
		{Name: "trk_charge", Value: &t.TrackCharge},
		{Name: "trk_nhit", Value: &t.TrackHits},
		{Name: "hit_trk", Value: &t.HitTrack},
	}, first, last, func() error { return fn(int(tf), &t) })
}

// scan reads a range of a tree and tells the library's errors from the callback's.
func (r *Reader) scan(tree rtree.Tree, vars []rtree.ReadVar, first, last int, fn func() error) error {
	reader, err := rtree.NewReader(tree, vars, rtree.WithRange(int64(first), int64(last)+1))
	if err != nil {
		return r.corrupt(err)
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
		return r.corrupt(err)
	}
	return nil
}

// columnFor makes a pointer to a slice of a leaf's type, nil for one that is not passed on.
func columnFor(typeName string) any {
	switch strings.TrimPrefix(typeName, "[]") {
	case "float32":
		return new([]float32)
	case "float64":
		return new([]float64)
	case "int32":
		return new([]int32)
	case "int64":
		return new([]int64)
	default:
		return nil
	}
}

func columnValue(p any) any {
	switch p := p.(type) {
	case *[]float32:
		return *p
	case *[]float64:
		return *p
	case *[]int32:
		return *p
	case *[]int64:
		return *p
	default:
		return nil
	}
}
