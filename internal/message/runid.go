package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tfpilot/internal/rawjson"
)

// RunID is a run number. Producers send it as JSON text or as a JSON number; consumers compare with the equality of
// their language, so the type in which it came in must be echoed. Compare RunIDs by String. The zero value is "no run".
type RunID struct {
	text   string
	number bool
}

// Run makes a RunID that is written as JSON text, the form of the current production system.
func Run(text string) RunID { return RunID{text: text} }

// RunNumber makes a RunID that is written as a JSON number, the form of older producers.
func RunNumber(n int64) RunID { return RunID{text: fmt.Sprint(n), number: true} }

// MaxRunID is how many bytes a run number may have.
const MaxRunID = 200

// ErrLongRun marks a message of a run that nobody could ask for by its number: its address would be longer than servers take, and one
// such run would be in the way of whoever goes through all of them.
var ErrLongRun = fmt.Errorf("run_id has more than %d bytes", MaxRunID)

// String is the run number as text, empty when there is none.
func (r RunID) String() string { return r.text }

// IsZero reports whether there is no run number.
func (r RunID) IsZero() bool { return r.text == "" }

// Same reports whether both name the same run, whatever JSON type they came in.
func (r RunID) Same(o RunID) bool { return r.text == o.text }

// Validate answers whether this can be the number of a run: it stands in headers and selectors, which have no place for everything.
func (r RunID) Validate() error {
	switch {
	case r.IsZero():
		return errors.New("run_id missing")
	case len(r.text) > MaxRunID:
		return ErrLongRun
	case hasControl(r.text):
		return fmt.Errorf("run_id %.80q: control character", r.text)
	}
	return nil
}

// MarshalJSON writes the run number in the type it came in.
func (r RunID) MarshalJSON() ([]byte, error) {
	if r.number {
		return []byte(r.text), nil
	}
	return json.Marshal(r.text)
}

// UnmarshalJSON accepts text, a number and null.
func (r *RunID) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		*r = RunID{}
	case rawjson.IsText(b):
		s, err := rawjson.Text(b)
		if err != nil {
			return err
		}
		*r = RunID{text: s}
	case len(b) > 0 && (b[0] == '-' || (b[0] >= '0' && b[0] <= '9')):
		*r = RunID{text: strings.TrimSuffix(string(b), ".0"), number: true}
	default:
		return fmt.Errorf("run_id is neither text nor a number: %.40s", b)
	}
	return nil
}
