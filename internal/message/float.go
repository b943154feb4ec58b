package message

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// Float is a number that some peers write in quotes, as they have it in their configuration. The zero value is absent.
type Float struct {
	f   float64
	set bool
}

// NewFloat makes a Float that is present.
func NewFloat(f float64) Float { return Float{f: f, set: true} }

// Float64 is the number, 0 when absent.
func (f Float) Float64() float64 { return f.f }

// IsZero reports that the key was absent or null, so that omitzero leaves it out. A present 0 is not zero.
func (f Float) IsZero() bool { return !f.set }

// MarshalJSON writes a number, or null when absent.
func (f Float) MarshalJSON() ([]byte, error) {
	if !f.set {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, f.f, 'f', -1, 64), nil
}

// UnmarshalJSON accepts a number, the same in quotes, and null.
func (f *Float) UnmarshalJSON(b []byte) error {
	s := string(bytes.Trim(bytes.TrimSpace(b), `"`))
	if s == "null" {
		*f = Float{}
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return fmt.Errorf("not a number: %.40s", b)
	}
	*f = NewFloat(n)
	return nil
}
