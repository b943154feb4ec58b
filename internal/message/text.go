package message

import (
	"bytes"
	"encoding/json"
	"fmt"

	"tfpilot/internal/rawjson"
)

// Text is a string that some peers send as a number (req_id of the old DAQ simulator is the integer 1).
type Text string

// UnmarshalJSON accepts text, a number and null.
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
		return nil
	case rawjson.IsText(b):
		s, err := rawjson.Text(b)
		*t = Text(s)
		return err
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("neither text nor a number: %.40s", b)
	}
	*t = Text(n)
	return nil
}
