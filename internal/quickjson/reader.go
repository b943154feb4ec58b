package quickjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// reader reads the next value of a document into a fresh one of its type. False leaves the document to encoding/json.
type reader func(p *pass, v reflect.Value) bool

// readers are those that were asked for: all that is known of a type is found out once.
var readers sync.Map // reflect.Type: reader

func readerOf(t reflect.Type) reader {
	if r, ok := readers.Load(t); ok {
		return r.(reader) //nolint:forcetypeassert // nothing else is in it
	}
	r := newReader(t)
	readers.Store(t, r)
	return r
}

func newReader(t reflect.Type) reader {
	pointer := reflect.PointerTo(t)
	switch {
	case pointer.Implements(reflect.TypeFor[Valid]()):
		return func(p *pass, v reflect.Value) bool {
			raw, ok := p.value()
			return ok && v.Addr().Interface().(Valid).UnmarshalValidJSON(raw) == nil //nolint:forcetypeassert // it implements it
		}
	case pointer.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return func(p *pass, v reflect.Value) bool {
			raw, ok := p.value()
			return ok && v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw) == nil //nolint:forcetypeassert // it implements it
		}
	case pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()), t == reflect.TypeFor[json.Number]():
		return readAny
	case t == reflect.TypeFor[map[string]int64]():
		return readCounts
	}
	switch t.Kind() { //nolint:exhaustive // of all others encoding/json knows best
	case reflect.String:
		return readText
	case reflect.Int, reflect.Int64:
		return readWhole
	case reflect.Struct:
		return newFields(t).read
	case reflect.Pointer:
		return readPointer
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // bytes are a text
			return readList
		}
	}
	return readAny
}

func readAny(p *pass, v reflect.Value) bool {
	raw, ok := p.value()
	return ok && json.Unmarshal(raw, v.Addr().Interface()) == nil
}

func readText(p *pass, v reflect.Value) bool {
	text, ok := p.plain()
	if ok {
		v.SetString(string(text))
	}
	return ok
}

func readWhole(p *pass, v reflect.Value) bool {
	n, ok := p.whole()
	if ok = ok && !v.OverflowInt(n); ok {
		v.SetInt(n)
	}
	return ok
}

func (p *pass) whole() (int64, bool) {
	raw, ok := p.value()
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, ok && err == nil
}

func readPointer(p *pass, v reflect.Value) bool {
	if p.null() {
		return true
	}
	v.Set(reflect.New(v.Type().Elem()))
	return readerOf(v.Type().Elem())(p, v.Elem())
}

func readList(p *pass, v reflect.Value) bool {
	if !p.next('[') {
		return false
	}
	read := readerOf(v.Type().Elem())
	v.Set(reflect.MakeSlice(v.Type(), 0, 1))
	for first := true; ; first = false {
		if over, ok := p.element(first); over || !ok {
			return ok
		}
		n := v.Len()
		v.Grow(1)
		v.SetLen(n + 1)
		if !read(p, v.Index(n)) {
			return false
		}
	}
}

func readCounts(p *pass, v reflect.Value) bool {
	if p.null() {
		return true
	}
	if !p.next('{') {
		return false
	}
	counts := map[string]int64{}
	for first := true; ; first = false {
		key, over, ok := p.member(first)
		if over {
			v.Set(reflect.ValueOf(counts))
		}
		if over || !ok {
			return ok
		}
		n, ok := p.whole()
		if !ok {
			return false
		}
		counts[string(key)] = n
	}
}

// fields are those of a struct, by their keys; nil of one whose keys are not plain.
type fields struct {
	known map[string]int
	// read are the readers of all fields, by their number. They are asked for when they are needed: a type may lie within itself.
	readers []reader
	once    sync.Once
	t       reflect.Type
}

func newFields(t reflect.Type) *fields {
	f := &fields{known: make(map[string]int, t.NumField()), readers: make([]reader, t.NumField()), t: t}
	for i := range t.NumField() {
		switch field := t.Field(i); {
		case field.Anonymous:
			return &fields{t: t}
		case !field.IsExported() || field.Tag.Get("json") == "-":
		default:
			key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !isPlain([]byte(key)) || strings.Contains(options, "string") || i >= 64 {
				return &fields{t: t}
			}
			f.known[key] = i
		}
	}
	return f
}

func (f *fields) read(p *pass, v reflect.Value) bool {
	if f.known == nil || !p.next('{') {
		return false
	}
	f.once.Do(func() {
		for _, i := range f.known {
			f.readers[i] = readerOf(f.t.Field(i).Type)
		}
	})
	var seen uint64
	for first := true; ; first = false {
		key, over, ok := p.member(first)
		if over || !ok {
			return ok
		}
		i, known := f.known[string(key)]
		switch {
		case !known:
			ok = isPlain(key) && p.skip(0)
		case seen&(1<<i) != 0: // of a key that comes twice both count in part
			ok = false
		default:
			seen |= 1 << i
			ok = f.readers[i](p, v.Field(i))
		}
		if !ok {
			return false
		}
	}
}

// isPlain says that a key is like no other: encoding/json takes a capital for its small letter.
func isPlain(key []byte) bool {
	for _, c := range key {
		if c >= 0x7f || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return len(key) > 0
}
