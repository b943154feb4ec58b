package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"tfpilot/internal/exitcode"
)

// DecodeTOML decodes strictly: an unknown key or a wrong type is an error that names the file, line and key.
func DecodeTOML(name string, text []byte, into any) error {
	dec := toml.NewDecoder(strings.NewReader(string(text))).DisallowUnknownFields()
	err := dec.Decode(into)
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var errs []error
		for _, e := range missing.Errors {
			row, _ := e.Position()
			errs = append(errs, fmt.Errorf("%s:%d: unknown key %q", name, row, strings.Join(e.Key(), ".")))
		}
		return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, col := bad.Position()
		text := strings.TrimPrefix(bad.Error(), "toml: ")
		if is, want, ok := mismatch(text); ok {
			return exitcode.New(exitcode.Usage, "%s:%d:%d: %s is %s where %s is meant", name, row, col, strings.Join(bad.Key(), "."), is, want)
		}
		return exitcode.New(exitcode.Usage, "%s:%d:%d: %s", name, row, col, text)
	}
	if err != nil {
		return exitcode.New(exitcode.Usage, "%s: %w", name, err)
	}
	return nil
}

// decoderMismatch is how the library says that a value has the wrong type, in the words of Go.
var decoderMismatch = regexp.MustCompile(`^cannot (?:decode|store) (?:TOML )?(?:an? )?([a-z ]+?) (?:in|into) (?:.* of type )?(\S+|struct \{.*\})$`)

// mismatch puts the library's complaint about a type into the words of a TOML file; ok is false for any other complaint.
func mismatch(text string) (is, want string, ok bool) {
	m := decoderMismatch.FindStringSubmatch(text)
	if m == nil {
		return "", "", false
	}
	words := map[string]string{
		"string": "a text in quotes", "bool": "true or false", "boolean": "true or false", "int": "a whole number", "int64": "a whole number",
		"integer": "a whole number", "uint64": "a whole number from 0", "float64": "a number", "float": "a number", "array": "a list",
		"[]string": "a list of texts", "table": "a table", "config.durationText": `a duration such as "90s" or "2m"`,
	}
	is, want = strings.TrimPrefix(m[1], "inline "), m[2]
	if strings.HasPrefix(want, "struct ") {
		want = "table"
	}
	if w, known := words[is]; known {
		is = w
	}
	if w, known := words[want]; known {
		want = w
	}
	return is, want, true
}

// durationText stands for a duration where TOML holds a text.
type durationText string

// shape is the struct type with every duration replaced by text, as it stands in TOML.
func shape(t reflect.Type) reflect.Type {
	var fields []reflect.StructField
	for f := range t.Fields() {
		name, inline := tag(f)
		switch {
		case inline:
			fields = slices.AppendSeq(fields, shape(f.Type).Fields())
			continue
		case name == "" || name == "-" || !f.IsExported():
			continue
		case readsText(f.Type):
			f.Type = reflect.TypeFor[any]() // set says what is wrong with it
		case f.Type == durationType:
			f.Type = reflect.TypeFor[durationText]()
		case f.Type.Kind() == reflect.Struct:
			f.Type = shape(f.Type)
		}
		f.Offset, f.Index, f.Anonymous = 0, nil, false
		fields = append(fields, f)
	}
	for i := range fields { // two inlined structs may have a field of one name, under different keys
		fields[i].Name = fmt.Sprintf("Option%d", i)
	}
	return reflect.StructOf(fields)
}

// LineOf is the line of a file, from 1, that sets a key with its tables; 0 for a notation that is seldom seen.
func LineOf(text []byte, key string) int {
	table := ""
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "["); ok {
			head, _, _ = strings.Cut(head, "]")
			table = strings.TrimSpace(head) + "."
			continue
		}
		if name, _, ok := strings.Cut(line, "="); ok && table+strings.TrimSpace(name) == key {
			return i + 1
		}
	}
	return 0
}

func lookup(tree map[string]any, key string) (any, bool) {
	head, rest, nested := strings.Cut(key, ".")
	v, ok := tree[head]
	if !ok || !nested {
		return v, ok
	}
	inner, isTable := v.(map[string]any)
	if !isTable {
		return nil, false
	}
	return lookup(inner, rest)
}
