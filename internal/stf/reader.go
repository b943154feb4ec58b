package stf

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rootfile"
)

// Reader reads one file. One goroutine uses it at a time.
type Reader struct {
	file     *rootfile.File
	hits     *rootfile.Tree
	geometry Geometry
	extra    []rootfile.Branch // counted numeric ones that are not of the schema

	scratch []byte
}

// schema are the branches that every file has, with the types of their leaves; placed are those of hits that lie on layers.
var (
	schema = map[string]string{"tf": "int32", "nhit": "int32", "time": "float64", "crc": "uint32"}
	placed = map[string]string{"x": "float32", "y": "float32", "z": "float32", "layer": "int32"}
)

// Open opens a file and checks its schema. A file that is not there, and one that is no time-frame file, are errors of class
// data.
func Open(path string) (*Reader, error) {
	f, err := rootfile.Open(path, frameFile)
	if err != nil {
		return nil, err
	}
	return newReader(f)
}

// OpenAt opens a file that lies elsewhere; name is for messages. An error of src that has a place in the table of failures is
// returned as it is. The reader closes src.
func OpenAt(name string, src rootfile.Source, size int64) (*Reader, error) {
	f, err := rootfile.OpenAt(name, src, size, frameFile)
	if err != nil {
		return nil, err
	}
	return newReader(f)
}

func newReader(f *rootfile.File) (r *Reader, err error) {
	defer func() {
		if err != nil {
			_ = f.Close()
			r = nil
		}
	}()
	defer f.Recover(&err)
	r = &Reader{file: f}
	return r, r.open()
}

// frameFile is what is to be in it.
var frameFile = rootfile.Kind{
	Words:    "time-frame file",
	Next:     "name an STF file, as `daq generate` and `daq run` write them",
	MaxCount: MaxHits,
}

func (r *Reader) open() error {
	if err := r.file.Need(hitsTree, geometryKey, geometryCRCKey); err != nil {
		return err
	}
	if err := r.readGeometry(); err != nil {
		return r.file.Corrupt(err)
	}
	var err error
	if r.hits, err = r.file.Tree(hitsTree); err != nil {
		return err
	}
	needed := maps.Clone(schema)
	if len(r.geometry.Layers) > 0 {
		maps.Copy(needed, placed)
	}
	found := r.hits.Branches()
	for name, want := range needed {
		if got, ok := found[name]; !ok {
			return r.file.Corrupt(fmt.Errorf("tree %s has no branch %s", hitsTree, name))
		} else if got.Type != want {
			return r.file.Corrupt(fmt.Errorf("branch %s holds %s, not %s", name, got.Type, want))
		}
		delete(found, name)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if b := found[name]; b.Counter == "nhit" && typeNamed(b.Type) != nil && !b.Array {
			r.extra = append(r.extra, b)
		}
	}
	return nil
}

func (r *Reader) readGeometry() error {
	text, err := r.file.Text(geometryKey)
	if err != nil {
		return err
	}
	stored, err := r.file.Text(geometryCRCKey)
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

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// BytesRead is how many bytes were read from the file.
func (r *Reader) BytesRead() int64 { return r.file.BytesRead() }

// Geometry is the detector that made the file.
func (r *Reader) Geometry() Geometry { return r.geometry }

// Columns are the further columns of its hits, by name, each with the type of its values.
func (r *Reader) Columns() map[string]string { return columnNames(r.extra) }

func columnNames(list []rootfile.Branch) map[string]string {
	out := make(map[string]string, len(list))
	for _, b := range list {
		out[b.Name] = b.Type
	}
	return out
}

// Frames is the number of frames in the file.
func (r *Reader) Frames() int { return int(r.hits.Entries()) }

// checkRange refuses frames that are not in the file.
func (r *Reader) checkRange(first, last int) error {
	if first < 0 || last < first || last >= r.Frames() {
		return exitcode.New(exitcode.DataRange, "frames %d to %d of %s: it holds 0 to %d", first, last, r.file.Path(), r.Frames()-1)
	}
	return nil
}

// Read calls fn for the frames first..last (inclusive) in order. The frame is valid during the call. Every frame's crc is
// checked before fn sees it; a wrong one ends the reading with an error of class data. fn's error is returned as it is.
func (r *Reader) Read(first, last int, fn func(*Frame) error) (err error) {
	if err := r.checkRange(first, last); err != nil {
		return err
	}
	defer r.file.Recover(&err)
	if err := r.hits.CheckCounts("nhit", first, last, nil); err != nil {
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
		{Name: "crc", Value: &crc},
	}
	layers := len(r.geometry.Layers) > 0
	if layers {
		vars = append(vars, rtree.ReadVar{Name: "x", Value: &f.X}, rtree.ReadVar{Name: "y", Value: &f.Y},
			rtree.ReadVar{Name: "z", Value: &f.Z}, rtree.ReadVar{Name: "layer", Value: &f.Layer})
	}
	extra := make([]any, len(r.extra))
	for i, b := range r.extra {
		extra[i] = typeNamed(b.Type).pointer()
		vars = append(vars, rtree.ReadVar{Name: b.Name, Value: extra[i]})
	}
	due := first
	return r.hits.Scan(vars, first, last, func() error {
		f.TF = int(tf)
		if len(extra) > 0 {
			f.Extra = make(map[string]any, len(extra))
			for i, b := range r.extra {
				f.Extra[b.Name] = typeNamed(b.Type).value(extra[i])
			}
		}
		if f.TF != due || int(nhit) != len(f.Time) {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: frame %d says that it is %d with %d hits", r.file.Path(), due, tf, nhit)
		}
		if err := f.check(layers); err != nil {
			return r.file.Corrupt(err)
		}
		sum, scratch, err := f.crc(r.scratch)
		r.scratch = scratch
		if err != nil {
			return r.file.Corrupt(err)
		}
		if sum != crc {
			return exitcode.New(exitcode.DataCorrupt, "%s is damaged: frame %d has the checksum %08x, stored is %08x", r.file.Path(), due, sum, crc)
		}
		due++
		return fn(&f)
	})
}

// ReadTruth calls fn for the truth of the frames first..last (inclusive).
func (r *Reader) ReadTruth(first, last int, fn func(tf int, t *Truth) error) (err error) {
	if err := r.checkRange(first, last); err != nil {
		return err
	}
	defer r.file.Recover(&err)
	tree, err := r.file.Tree(truthTree)
	if err != nil {
		return err
	}
	if int64(last) >= tree.Entries() {
		return exitcode.New(exitcode.DataMissing, "%s has no truth for frame %d", r.file.Path(), last)
	}
	for _, count := range []string{"nevt", "ntrk", "nref"} {
		if err := tree.CheckCounts(count, first, last, nil); err != nil {
			return err
		}
	}
	var t Truth
	var tf int32
	return tree.Scan([]rtree.ReadVar{
		{Name: "tf", Value: &tf},
		{Name: "evt_time", Value: &t.EventTime},
		{Name: "evt_number", Value: &t.EventNumber},
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
		{Name: "hit_evt", Value: &t.HitEvent},
	}, first, last, func() error { return fn(int(tf), &t) })
}
