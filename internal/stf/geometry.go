package stf

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// Kind says what a layer measures well.
type Kind string

// The kinds of layers.
const (
	KindPixel  Kind = "pixel"
	KindTiming Kind = "timing"
)

// Geometry is the detector that made a file: cylindrical layers around the beam (z axis) in a solenoid field along z. Without
// layers it is one that payloads know by its name; its hits are columns that mean something to them.
type Geometry struct {
	Name string `json:"name"`
	// Source says where the numbers come from.
	Source     string  `json:"source"`
	FieldTesla float64 `json:"field_tesla"`
	// FrameNS is the length of a time frame.
	FrameNS float64 `json:"frame_ns"`
	Layers  []Layer `json:"layers"`
}

// Layer is one cylinder. Sigma* are resolutions of one hit; the time of a pixel is uniform within sqrt(12)*SigmaTimeNS, its
// integration time.
type Layer struct {
	Kind         Kind    `json:"kind"`
	RadiusMM     float64 `json:"radius_mm"`
	HalfLengthMM float64 `json:"half_length_mm"`
	SigmaRPhiMM  float64 `json:"sigma_rphi_mm"`
	SigmaZMM     float64 `json:"sigma_z_mm"`
	SigmaTimeNS  float64 `json:"sigma_time_ns"`
	Efficiency   float64 `json:"efficiency"`
}

// Validate refuses a detector without frames, or with layers without a size.
func (g Geometry) Validate() error {
	if !(g.FrameNS > 0) { // NaN too
		return errors.New("geometry without frame length")
	}
	for i, l := range g.Layers {
		if l.RadiusMM <= 0 || l.HalfLengthMM <= 0 {
			return fmt.Errorf("geometry: layer %d has no size", i)
		}
	}
	return nil
}

// geometryCRC is the CRC-32C of a geometry's text, in hexadecimal: a field that is wrong by one digit gives wrong momenta.
func geometryCRC(text []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) }
