package stf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// MaxHits bounds the hits of one frame when reading: a real one has thousands, a damaged count has anything.
const MaxHits = 4_000_000

// Frame is one time frame: parallel columns, one value per hit.
type Frame struct {
	// TF is the frame's number in the file, from 0.
	TF int
	// Time is in ns since the frame's start.
	Time []float64
	// X, Y, Z (mm) and Layer are empty where the geometry has no layers: then what a hit is stands in columns of its producer.
	X, Y, Z []float32
	Layer   []int32
	// Extra are further columns by name, slices of integers or floats of a fixed size, as long as Time.
	Extra map[string]any
	// Truth is what was simulated; nil for real data, and from Read.
	Truth *Truth
}

// Truth is what lies behind the hits of a frame.
type Truth struct {
	// One value per collision: time (ns in the frame), its number where it came from, vertex (mm).
	EventTime      []float64
	EventNumber    []int64
	EventX, EventY []float32
	EventZ         []float32
	TrackEvent     []int32 // One value per charged particle: its collision,
	TrackPT        []float32
	TrackEta       []float32
	TrackPhi       []float32 // at the vertex, in (-pi, pi],
	TrackCharge    []int32
	TrackHits      []int32 // and how many hits it left.
	HitTrack       []int32 // One value per hit: its particle, or -1 for noise,
	HitEvent       []int32 // and its collision, or -1.
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc is the CRC-32C of the frame's columns, little-endian, in the order of the schema, extra columns by name. scratch is
// reused.
func (f *Frame) crc(scratch []byte) (uint32, []byte, error) {
	b := binary.LittleEndian.AppendUint32(scratch[:0], uint32(f.TF))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Time)))
	for _, c := range []any{f.Time, f.X, f.Y, f.Z, f.Layer} {
		b, _ = binary.Append(b, binary.LittleEndian, c) // no error for numbers
	}
	for _, name := range slices.Sorted(maps.Keys(f.Extra)) {
		b = append(b, name...)
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, f.Extra[name]); err != nil {
			return 0, b, fmt.Errorf("column %s has the type %T", name, f.Extra[name])
		}
	}
	return crc32.Checksum(b, castagnoli), b, nil
}

// check refuses columns of different lengths. Where there are layers a hit has a place on one of them.
func (f *Frame) check(layers bool) error {
	n, placed := len(f.Time), 0
	if layers {
		placed = n
	}
	if len(f.X) != placed || len(f.Y) != placed || len(f.Z) != placed || len(f.Layer) != placed {
		return fmt.Errorf("frame %d: columns of different lengths", f.TF)
	}
	for name, c := range f.Extra {
		if t := typeOf(c); t == nil || t.len(c) != n {
			return fmt.Errorf("frame %d: column %s has another length", f.TF, name)
		}
	}
	return nil
}

// check refuses columns of different lengths.
func (t *Truth) check() error {
	events, tracks := len(t.EventTime), len(t.TrackEvent)
	if len(t.EventNumber) != events || len(t.EventX) != events || len(t.EventY) != events || len(t.EventZ) != events ||
		len(t.TrackPT) != tracks || len(t.TrackEta) != tracks || len(t.TrackPhi) != tracks || len(t.TrackCharge) != tracks ||
		len(t.TrackHits) != tracks || len(t.HitEvent) != len(t.HitTrack) {
		return errors.New("columns of the truth of different lengths")
	}
	return nil
}
