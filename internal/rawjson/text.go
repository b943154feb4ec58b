package rawjson

import "encoding/json"

// IsText reports whether a JSON value is a string.
func IsText(b []byte) bool { return len(b) > 1 && b[0] == '"' && b[len(b)-1] == '"' }

// Text is the text of a JSON string. Nearly all are plain, and need no reader of their own.
func Text(b []byte) (string, error) {
	if said := string(b[1 : len(b)-1]); plain(said) {
		return said, nil
	}
	var s string
	err := json.Unmarshal(b, &s)
	return s, err
}

// plain reports whether a text is written in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}
