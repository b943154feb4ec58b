package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Member is one key of an [Object] with its value as it stands on the wire.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Object is a JSON object that keeps the order of its keys and every value's bytes, so that what we do not know of a
// peer's message is passed on unchanged. Of a repeated key the last counts, as in Python.
type Object []Member

// Value is the raw value of a key, nil when absent.
func (o Object) Value(key string) json.RawMessage {
	if i := o.index(key); i >= 0 {
		return o[i].Value
	}
	return nil
}

// Set writes a key: in its place when it is there, at the end otherwise.
func (o *Object) Set(key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %q: %w", key, err)
	}
	o.set(key, raw)
	return nil
}

// Clone is an independent copy; the values are shared, since they are never written to.
func (o Object) Clone() Object { return slices.Clone(o) }

// MarshalJSON writes the members in order; a nil Object is null.
func (o Object) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	size := 2
	for _, m := range o {
		size += len(m.Key) + len(m.Value) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendKey(b, m.Key); err != nil {
			return nil, err
		}
		b = append(append(b, ':'), m.Value...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads an object or null. The values share the memory of b's copy.
func (o *Object) UnmarshalJSON(b []byte) error {
	if !json.Valid(b) {
		return errNotJSON
	}
	return o.UnmarshalValidJSON(b)
}

// UnmarshalValidJSON reads what is known to be JSON.
func (o *Object) UnmarshalValidJSON(b []byte) error { return o.read(bytes.Clone(bytes.TrimSpace(b))) }

var errNotJSON = errors.New("not JSON")

// read splits valid JSON, which it keeps. The values need no look inside: this is what makes passing on what we do not know
// cheap.
func (o *Object) read(b []byte) error {
	if string(b) == "null" {
		*o = nil
		return nil
	}
	if b[0] != '{' {
		return errors.New("not a JSON object")
	}
	out := make(Object, 0, 24)
	for i := skipSpace(b, 1); b[i] != '}'; {
		end := skipValue(b, i)
		key, err := unquote(b[i:end])
		if err != nil {
			return err
		}
		i = skipSpace(b, skipSpace(b, end)+1) // over the colon
		end = skipValue(b, i)
		out.set(key, json.RawMessage(b[i:end:end]))
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	*o = out
	return nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// skipValue is the end of the value that starts at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for ; ; i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			for i < len(b) && !bytes.ContainsRune([]byte(" \t\r\n,}]:"), rune(b[i])) {
				i++
			}
			return i
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// unquote is the text of a JSON string.
func unquote(b []byte) (string, error) {
	if !bytes.ContainsRune(b, '\\') {
		return string(b[1 : len(b)-1]), nil
	}
	var s string
	err := json.Unmarshal(b, &s)
	return s, err
}

// text is the text of a JSON string. Nearly all are plain, and need no reader of their own.
func text(b []byte) (string, error) {
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

// quoted reports whether a JSON value is a string.
func quoted(b []byte) bool { return len(b) > 1 && b[0] == '"' && b[len(b)-1] == '"' }

// appendKey quotes a key.
func appendKey(b []byte, key string) ([]byte, error) {
	for _, c := range []byte(key) {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(key)
			return append(b, quoted...), err
		}
	}
	return append(append(append(b, '"'), key...), '"'), nil
}

func (o Object) index(key string) int {
	return slices.IndexFunc(o, func(m Member) bool { return m.Key == key })
}

func (o *Object) set(key string, raw json.RawMessage) {
	if i := o.index(key); i >= 0 {
		(*o)[i].Value = raw
		return
	}
	*o = append(*o, Member{Key: key, Value: raw})
}

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

// Text is a string that some peers send as a number (req_id of the old DAQ simulator is the integer 1).
type Text string

// UnmarshalJSON accepts text, a number and null.
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
		return nil
	case quoted(b):
		s, err := text(b)
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
