package quickjson

import (
	"encoding"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// writer appends a value of its type. An error leaves the document to encoding/json.
type writer func(b []byte, v reflect.Value) ([]byte, error)

// errOther is for what only encoding/json knows how to write, or why not.
var errOther = errors.New("left to encoding/json")

// writers are those that were asked for.
var writers sync.Map // reflect.Type: writer

func writerOf(t reflect.Type) writer {
	if w, ok := writers.Load(t); ok {
		return w.(writer) //nolint:forcetypeassert // nothing else is in it
	}
	w := newWriter(t)
	writers.Store(t, w)
	return w
}

func newWriter(t reflect.Type) writer {
	switch pointer := reflect.PointerTo(t); {
	case t == reflect.TypeFor[time.Time]():
		return writeTime
	case pointer.Implements(reflect.TypeFor[json.Marshaler]()), pointer.Implements(reflect.TypeFor[encoding.TextMarshaler]()), t == reflect.TypeFor[json.Number]():
		return writeAny
	case t == reflect.TypeFor[map[string]int64]():
		return writeCounts
	}
	switch t.Kind() { //nolint:exhaustive // of all others encoding/json knows best
	case reflect.String:
		return func(b []byte, v reflect.Value) ([]byte, error) { return appendText(b, v.String()) }
	case reflect.Int, reflect.Int64:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(b, v.Int(), 10), nil }
	case reflect.Bool:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(b, v.Bool()), nil }
	case reflect.Struct:
		return newMembers(t).write
	case reflect.Pointer:
		return writePointer
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // bytes are a text
			return writeList
		}
	}
	return writeAny
}

func writeAny(b []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() { // for the methods of its address
		v = v.Addr()
	}
	text, err := json.Marshal(v.Interface())
	return append(b, text...), err
}

func writeTime(b []byte, v reflect.Value) ([]byte, error) {
	t, _ := reflect.TypeAssert[time.Time](v)
	b, err := t.AppendText(append(b, '"')) // as its MarshalJSON has it
	return append(b, '"'), err
}

// appendText appends a text. Nearly all are plain.
func appendText(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, err := json.Marshal(s)
			return append(b, text...), err
		}
	}
	return append(append(append(b, '"'), s...), '"'), nil
}

func writePointer(b []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	return writerOf(v.Type().Elem())(b, v.Elem())
}

func writeList(b []byte, v reflect.Value) (_ []byte, err error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	write := writerOf(v.Type().Elem())
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = write(b, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func writeCounts(b []byte, v reflect.Value) (_ []byte, err error) {
	counts, _ := reflect.TypeAssert[map[string]int64](v)
	if counts == nil {
		return append(b, "null"...), nil
	}
	var few [16]string
	keys := slices.AppendSeq(few[:0], maps.Keys(counts))
	slices.Sort(keys)
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendText(b, key); err != nil {
			return nil, err
		}
		b = strconv.AppendInt(append(b, ':'), counts[key], 10)
	}
	return append(b, '}'), nil
}

// members are those of a struct; unknown says that encoding/json finds them in other ways.
type members struct {
	list    []member
	unknown bool
	once    sync.Once
}

// member is a field under its key, which stands in quotes and before a colon.
type member struct {
	key       string
	at        int
	t         reflect.Type
	write     writer
	omitEmpty bool
	omitZero  bool
}

func newMembers(t reflect.Type) *members {
	m := &members{}
	for i := range t.NumField() {
		field := t.Field(i)
		key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			return &members{unknown: true}
		case !field.IsExported() || field.Tag.Get("json") == "-":
			continue
		case !isPlain([]byte(key)) || strings.Contains(options, "string"):
			return &members{unknown: true}
		}
		omit := strings.Split(options, ",")
		m.list = append(m.list, member{
			key: `"` + key + `":`, at: i, t: field.Type, omitEmpty: slices.Contains(omit, "omitempty"), omitZero: slices.Contains(omit, "omitzero"),
		})
	}
	return m
}

func (m *members) write(b []byte, v reflect.Value) (_ []byte, err error) {
	if m.unknown {
		return nil, errOther
	}
	m.once.Do(func() { // not before: a type may lie within itself
		for i := range m.list {
			m.list[i].write = writerOf(m.list[i].t)
		}
	})
	b = append(b, '{')
	for i := range m.list {
		field := v.Field(m.list[i].at)
		if m.list[i].omitEmpty && isEmpty(field) || m.list[i].omitZero && isZero(field) {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		if b, err = m.list[i].write(append(b, m.list[i].key...), field); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// isEmpty is what omitempty asks.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// isZero is what omitzero asks.
func isZero(v reflect.Value) bool {
	if t, ok := reflect.TypeAssert[time.Time](v); ok {
		return t.IsZero()
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return true
	}
	if v.CanAddr() && v.Kind() != reflect.Pointer { // for the methods of its address
		v = v.Addr()
	}
	if z, ok := reflect.TypeAssert[interface{ IsZero() bool }](v); ok {
		return z.IsZero()
	}
	return reflect.Indirect(v).IsZero()
}
