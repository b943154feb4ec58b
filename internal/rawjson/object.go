package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Member is one key of an [Object] with its value as it came.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Object is a JSON object that keeps the order of its keys and every value's bytes. Of a repeated key the last counts, as in Python.
type Object []Member

// Split takes apart what is known to be JSON: an object or null. The values need no look inside, which makes passing on what we do not know
// cheap; they share the memory of b, which nobody may write to any more.
func Split(b []byte) (Object, error) {
	b = bytes.TrimSpace(b)
	if string(b) == "null" {
		return nil, nil
	}
	if b[0] != '{' {
		return nil, errors.New("not a JSON object")
	}
	out := make(Object, 0, 24)
	for i := skipSpace(b, 1); b[i] != '}'; {
		end := skipValue(b, i)
		key, err := Text(b[i:end])
		if err != nil {
			return nil, err
		}
		i = skipSpace(b, skipSpace(b, end)+1) // over the colon
		end = skipValue(b, i)
		out.SetRaw(key, json.RawMessage(b[i:end:end]))
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return out, nil
}

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
	o.SetRaw(key, raw)
	return nil
}

// SetRaw is Set with a value that is JSON already.
func (o *Object) SetRaw(key string, value json.RawMessage) {
	if i := o.index(key); i >= 0 {
		(*o)[i].Value = value
		return
	}
	*o = append(*o, Member{Key: key, Value: value})
}

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

// UnmarshalJSON reads an object or null.
func (o *Object) UnmarshalJSON(b []byte) error {
	if !json.Valid(b) {
		return errors.New("not JSON")
	}
	return o.UnmarshalValidJSON(b)
}

// UnmarshalValidJSON reads what is known to be JSON.
func (o *Object) UnmarshalValidJSON(b []byte) (err error) {
	*o, err = Split(bytes.Clone(b))
	return err
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
