package stf

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"maps"
	"os"
	"slices"

	"go-hep.org/x/hep/groot"
	"go-hep.org/x/hep/groot/rbase"
	"go-hep.org/x/hep/groot/rtree"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rootfile"
)

// The names in the file.
const (
	hitsTree       = "hits"
	truthTree      = "truth"
	geometryKey    = "geometry"
	geometryCRCKey = "geometry_crc"
)

// basketSize keeps 3 to 30 frames of a column together: the optimum between requests and bytes of a slice's read.
const basketSize = 128 << 10

// Summary describes a finished file.
type Summary struct {
	Path      string
	SizeBytes int64
	// Adler32 is eight hexadecimal digits, as in the messages.
	Adler32 string
	Frames  int
	Hits    int64
}

// Writer writes one file. Write frames in order, then Close; nothing is at path before that.
type Writer struct {
	path, temp string
	file       *groot.File
	hits       rtree.Writer
	truth      rtree.Writer

	// What the trees write from.
	tf, nhit, nevt, ntrk, nref int32
	crc                        uint32
	frame                      Frame
	layers                     bool
	extra                      map[string]any // name -> pointer to slice
	truthRow                   Truth

	scratch []byte
	frames  int
	total   int64
}

// Create starts a file at path with the extra columns of the sample frame (nil: none).
func Create(path string, g Geometry, sample *Frame) (w *Writer, err error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	defer rootfile.Recover(&err, path)
	temp := path + ".tmp"
	file, err := groot.Create(temp)
	if err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "creating %s: %w", path, rootfile.Cause(err))
	}
	w = &Writer{path: path, temp: temp, file: file, extra: map[string]any{}}
	if err := w.open(g, sample); err != nil {
		w.Abort()
		return nil, exitcode.New(exitcode.SiteNoSpace, "creating %s: %w", path, rootfile.Cause(err))
	}
	return w, nil
}

func (w *Writer) open(g Geometry, sample *Frame) error {
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := w.file.Put(geometryKey, rbase.NewObjString(string(text))); err != nil {
		return err
	}
	if err := w.file.Put(geometryCRCKey, rbase.NewObjString(geometryCRC(text))); err != nil {
		return err
	}
	vars := []rtree.WriteVar{
		{Name: "tf", Value: &w.tf},
		{Name: "nhit", Value: &w.nhit},
		{Name: "time", Value: &w.frame.Time, Count: "nhit"},
	}
	if w.layers = len(g.Layers) > 0; w.layers {
		vars = append(vars,
			rtree.WriteVar{Name: "x", Value: &w.frame.X, Count: "nhit"},
			rtree.WriteVar{Name: "y", Value: &w.frame.Y, Count: "nhit"},
			rtree.WriteVar{Name: "z", Value: &w.frame.Z, Count: "nhit"},
			rtree.WriteVar{Name: "layer", Value: &w.frame.Layer, Count: "nhit"},
		)
	}
	if sample != nil {
		for _, name := range slices.Sorted(maps.Keys(sample.Extra)) {
			t := typeOf(sample.Extra[name])
			if t == nil {
				return fmt.Errorf("column %s has the type %T", name, sample.Extra[name])
			}
			p := t.pointer()
			w.extra[name] = p
			vars = append(vars, rtree.WriteVar{Name: name, Value: p, Count: "nhit"})
		}
	}
	vars = append(vars, rtree.WriteVar{Name: "crc", Value: &w.crc})
	opts := []rtree.WriteOption{rtree.WithLZ4(1), rtree.WithBasketSize(basketSize)}
	if w.hits, err = rtree.NewWriter(w.file, hitsTree, vars, append(opts, rtree.WithTitle("time frames"))...); err != nil {
		return err
	}
	t := &w.truthRow
	w.truth, err = rtree.NewWriter(w.file, truthTree, []rtree.WriteVar{
		{Name: "tf", Value: &w.tf},
		{Name: "nevt", Value: &w.nevt},
		{Name: "evt_time", Value: &t.EventTime, Count: "nevt"},
		{Name: "evt_number", Value: &t.EventNumber, Count: "nevt"},
		{Name: "evt_x", Value: &t.EventX, Count: "nevt"},
		{Name: "evt_y", Value: &t.EventY, Count: "nevt"},
		{Name: "evt_z", Value: &t.EventZ, Count: "nevt"},
		{Name: "ntrk", Value: &w.ntrk},
		{Name: "trk_evt", Value: &t.TrackEvent, Count: "ntrk"},
		{Name: "trk_pt", Value: &t.TrackPT, Count: "ntrk"},
		{Name: "trk_eta", Value: &t.TrackEta, Count: "ntrk"},
		{Name: "trk_phi", Value: &t.TrackPhi, Count: "ntrk"},
		{Name: "trk_charge", Value: &t.TrackCharge, Count: "ntrk"},
		{Name: "trk_nhit", Value: &t.TrackHits, Count: "ntrk"},
		{Name: "nref", Value: &w.nref},
		{Name: "hit_trk", Value: &t.HitTrack, Count: "nref"},
		{Name: "hit_evt", Value: &t.HitEvent, Count: "nref"},
	}, append(opts, rtree.WithTitle("what was simulated"))...)
	return err
}

// Write adds a frame. Its number must be that of the frames before it.
func (w *Writer) Write(f *Frame) (err error) {
	defer rootfile.Recover(&err, w.path)
	if f.TF != w.frames {
		return fmt.Errorf("writing %s: frame %d where %d is due", w.path, f.TF, w.frames)
	}
	if err := f.check(w.layers); err != nil {
		return err
	}
	if len(f.Extra) != len(w.extra) {
		return fmt.Errorf("writing %s: frame %d has other columns than the first", w.path, f.TF)
	}
	for name, p := range w.extra {
		if t := typeOf(f.Extra[name]); t == nil || !t.set(p, f.Extra[name]) {
			return fmt.Errorf("writing %s: frame %d: column %s has changed its type", w.path, f.TF, name)
		}
	}
	if w.crc, w.scratch, err = f.crc(w.scratch); err != nil {
		return err
	}
	w.tf, w.nhit, w.frame = int32(f.TF), int32(len(f.Time)), *f
	if _, err := w.hits.Write(); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "writing %s: %w", w.path, rootfile.Cause(err))
	}
	if f.Truth != nil {
		if err := f.Truth.check(); err != nil {
			return fmt.Errorf("writing %s: frame %d: %w", w.path, f.TF, err)
		}
		w.truthRow = *f.Truth
		w.nevt, w.ntrk, w.nref = int32(len(f.Truth.EventTime)), int32(len(f.Truth.TrackPT)), int32(len(f.Truth.HitTrack))
		if _, err := w.truth.Write(); err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "writing %s: %w", w.path, rootfile.Cause(err))
		}
	}
	w.frames++
	w.total += int64(len(f.Time))
	return nil
}

// Close finishes the file, puts it at its path and describes it.
func (w *Writer) Close() (s Summary, err error) {
	defer rootfile.Recover(&err, w.path)
	for _, c := range []io.Closer{w.hits, w.truth, w.file} {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return Summary{}, errors.Join(exitcode.New(exitcode.SiteNoSpace, "closing %s: %w", w.path, rootfile.Cause(err)), os.Remove(w.temp))
	}
	size, sum, err := Checksum(w.temp)
	if err != nil {
		return Summary{}, err
	}
	if err := os.Rename(w.temp, w.path); err != nil {
		return Summary{}, exitcode.New(exitcode.SiteNoSpace, "finishing %s: %w", w.path, rootfile.Cause(err))
	}
	return Summary{Path: w.path, SizeBytes: size, Adler32: sum, Frames: w.frames, Hits: w.total}, nil
}

// Abort gives the file up and leaves nothing of it.
func (w *Writer) Abort() {
	_ = w.file.Close()
	_ = os.Remove(w.temp)
}

// Checksum is the size and the adler32 (eight hexadecimal digits) of a file.
func Checksum(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", exitcode.New(exitcode.DataMissing, "opening %s: %w", path, rootfile.Cause(err))
	}
	defer func() { _ = f.Close() }()
	h := adler32.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, "", exitcode.New(exitcode.DataCorrupt, "reading %s: %w", path, err)
	}
	return size, fmt.Sprintf("%08x", h.Sum32()), nil
}
