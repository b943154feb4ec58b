package stf

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
)

// MaxHits bounds the hits of one frame when reading: a real one has thousands, a damaged count has anything.
const MaxHits = 4_000_000

// Frame is one time frame: parallel columns, one value per hit.
type Frame struct {
	// TF is the frame's number in the file, from 0.
	TF int
	// Time is in ns since the frame's start.
	Time    []float64
	X, Y, Z []float32
	Layer   []int32
	// Extra are further columns by name: []float32, []float64, []int32 or []int64, as long as Time.
	Extra map[string]any
	// Truth is what was simulated; nil for real data, and from Read.
	Truth *Truth
}

// Truth is what lies behind the hits of a frame.
type Truth struct {
	// One value per collision: time (ns in the frame), vertex (mm).
	EventTime      []float64
	EventX, EventY []float32
	EventZ         []float32
	TrackEvent     []int32 // One value per charged particle: its collision,
	TrackPT        []float32
	TrackEta       []float32
	TrackPhi       []float32 // at the vertex, in (-pi, pi],
	TrackCharge    []int32
	TrackHits      []int32 // and how many hits it left.
	HitTrack       []int32 // One value per hit: its particle, or -1 for noise.
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc is the CRC-32C of the frame's columns, little-endian, in the order of the schema, extra columns by name. scratch is
// reused.
func (f *Frame) crc(scratch []byte) (uint32, []byte, error) {
	b := binary.LittleEndian.AppendUint32(scratch[:0], uint32(f.TF))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Time)))
	b = appendFloat64(b, f.Time)
	for _, c := range [][]float32{f.X, f.Y, f.Z} {
		b = appendFloat32(b, c)
	}
	for _, v := range f.Layer {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Extra)) {
		b = append(b, name...)
		switch c := f.Extra[name].(type) {
		case []float32:
			b = appendFloat32(b, c)
		case []float64:
			b = appendFloat64(b, c)
		case []int32:
			for _, v := range c {
				b = binary.LittleEndian.AppendUint32(b, uint32(v))
			}
		case []int64:
			for _, v := range c {
				b = binary.LittleEndian.AppendUint64(b, uint64(v))
			}
		default:
			return 0, b, fmt.Errorf("column %s has the type %T", name, c)
		}
	}
	return crc32.Checksum(b, castagnoli), b, nil
}

func appendFloat64(b []byte, c []float64) []byte {
	for _, v := range c {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func appendFloat32(b []byte, c []float32) []byte {
	for _, v := range c {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// check refuses columns of different lengths.
func (f *Frame) check() error {
	n := len(f.Time)
	if len(f.X) != n || len(f.Y) != n || len(f.Z) != n || len(f.Layer) != n {
		return fmt.Errorf("frame %d: columns of different lengths", f.TF)
	}
	for name, c := range f.Extra {
		if columnLen(c) != n {
			return fmt.Errorf("frame %d: column %s has another length", f.TF, name)
		}
	}
	return nil
}

func columnLen(c any) int {
	switch c := c.(type) {
	case []float32:
		return len(c)
	case []float64:
		return len(c)
	case []int32:
		return len(c)
	case []int64:
		return len(c)
	default:
		return -1
	}
}
