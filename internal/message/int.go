package message

import (
	"bytes"
	"fmt"
	"strconv"
)

// Int is a whole number that some peers quote. The zero value is "absent".
type Int struct {
	n   int64
	set bool
}

// NewInt makes an Int that is present.
func NewInt(n int64) Int { return Int{n: n, set: true} }

// Int64 is the number, 0 when absent.
func (i Int) Int64() int64 { return i.n }

// IsZero reports that the key was absent or null, so that omitzero leaves it out. A present 0 is not zero.
func (i Int) IsZero() bool { return !i.set }

// MarshalJSON writes a number, or null when absent.
func (i Int) MarshalJSON() ([]byte, error) {
	if !i.set {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, i.n, 10), nil
}

// UnmarshalJSON accepts a whole number, the same in quotes, and null.
func (i *Int) UnmarshalJSON(b []byte) error {
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil { // nearly always
		*i = NewInt(n)
		return nil
	}
	s := string(bytes.Trim(bytes.TrimSpace(b), `"`))
	if s == "null" {
		*i = Int{}
		return nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		*i = NewInt(n)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int64(f)) {
		return fmt.Errorf("not a whole number: %.40s", b)
	}
	*i = NewInt(int64(f))
	return nil
}
