package quickjson

import (
	"encoding/json"
	"reflect"
)

// Decode reads a document as json.Unmarshal does into a fresh value.
func Decode[T any](b []byte) (T, error) {
	var quick T
	t, p := reflect.TypeFor[T](), pass{b: b}
	if readerOf(t)(&p, reflect.ValueOf(&quick).Elem()) && p.end() {
		return quick, nil
	}
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}

// Valid is a type that reads itself from JSON that was found to be valid, and need not look again whether it is. It may not keep b.
type Valid interface {
	UnmarshalValidJSON(b []byte) error
}

// Encode writes a document as json.Marshal does.
func Encode[T any](v *T) ([]byte, error) {
	if b, err := writerOf(reflect.TypeFor[T]())(make([]byte, 0, 512), reflect.ValueOf(v).Elem()); err == nil {
		return b, nil
	}
	return json.Marshal(v)
}
