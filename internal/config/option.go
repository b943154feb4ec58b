package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Origin says where an option's value came from.
type Origin string

// The origins, weakest first.
const (
	FromDefault Origin = "default"
	FromFile    Origin = "file"
	FromEnv     Origin = "environment"
	FromFlag    Origin = "flag"
)

// Option is one field with its names and its present value's origin.
type Option struct {
	Key     string // TOML key with its tables, dotted
	Flag    string
	Env     string
	Help    string
	Default string
	Secret  bool
	Zero    bool // zero means something else than the default
	Origin  Origin
	// Where names the file, variable or flag of the Origin.
	Where string

	field reflect.Value
}

// Value is the present value as text; a secret is masked.
func (o *Option) Value() string {
	switch {
	case o.Secret && !o.field.IsZero():
		return "***"
	case o.field.Type() == durationType:
		return time.Duration(o.field.Int()).String()
	case o.field.Kind() == reflect.Slice:
		list, _ := reflect.TypeAssert[[]string](o.field)
		return strings.Join(list, ",")
	default:
		return fmt.Sprint(o.field.Interface())
	}
}

var durationType = reflect.TypeFor[time.Duration]()

// options walks a pointer to a struct.
func options(target any) ([]*Option, error) {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config target %T is no pointer to a struct", target)
	}
	return walk(v.Elem(), "")
}

func walk(v reflect.Value, prefix string) ([]*Option, error) {
	var out []*Option
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, inline := tag(f)
		if inline {
			inner, err := walk(v.Field(i), prefix)
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		key := prefix + name
		if f.Type.Kind() == reflect.Struct {
			inner, err := walk(v.Field(i), key+".")
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		}
		if !supported(f.Type) {
			return nil, fmt.Errorf("option %s has the unsupported type %s", key, f.Type)
		}
		words := strings.NewReplacer(".", "_", "-", "_").Replace(key)
		out = append(out, &Option{
			Key: key, Flag: strings.ReplaceAll(words, "_", "-"), Env: "TFPILOT_" + strings.ToUpper(words),
			Help: f.Tag.Get("help"), Default: f.Tag.Get("default"), Secret: f.Tag.Get("secret") == "true",
			Zero: f.Tag.Get("zero") == "true", Origin: FromDefault, field: v.Field(i),
		})
	}
	return out, nil
}

// tag is a field's TOML key, and whether it is a struct whose fields belong to the outer one: embedded, or tagged ",inline".
func tag(f reflect.StructField) (name string, inline bool) {
	name, option, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return name, name == "" && f.Type.Kind() == reflect.Struct && (f.Anonymous || option == "inline")
}

func supported(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.String
	default:
		return false
	}
}

// readsText says that a type reads its own text, such as a number that may also be a word.
func readsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// set parses text into the field.
func (o *Option) set(text string) error {
	var err error
	switch f := o.field; {
	case readsText(f.Type()):
		u, _ := reflect.TypeAssert[encoding.TextUnmarshaler](f.Addr())
		return u.UnmarshalText([]byte(text))
	case f.Type() == durationType:
		var d time.Duration
		if d, err = parseDuration(text); err == nil {
			f.SetInt(int64(d))
		}
	case f.Kind() == reflect.String:
		f.SetString(text)
	case f.Kind() == reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err == nil {
			f.SetBool(b)
		} else {
			err = fmt.Errorf("%q is neither true nor false", text)
		}
	case f.Kind() == reflect.Int, f.Kind() == reflect.Int64:
		var n int64
		if n, err = strconv.ParseInt(text, 10, 64); err == nil {
			f.SetInt(n)
		} else {
			err = fmt.Errorf("%q is no whole number", text)
		}
	case f.Kind() == reflect.Uint64:
		var n uint64
		if n, err = strconv.ParseUint(text, 10, 64); err == nil {
			f.SetUint(n)
		} else {
			err = fmt.Errorf("%q is no whole number from 0", text)
		}
	case f.Kind() == reflect.Float64:
		var x float64
		if x, err = strconv.ParseFloat(text, 64); err == nil {
			f.SetFloat(x)
		} else {
			err = fmt.Errorf("%q is no number", text)
		}
	case f.Kind() == reflect.Slice:
		var list []string
		for s := range strings.SplitSeq(text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		f.Set(reflect.ValueOf(list))
	}
	return err
}

// setList is set for a list from a file, whose texts may hold commas.
func (o *Option) setList(list []any) {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	o.field.Set(reflect.ValueOf(texts))
}

// plausible refuses what no option of ours can mean: a number below zero, and zero or an empty text where there is a default
// that [Defaults] would put in its place.
func (o *Option) plausible() error {
	f := o.field
	switch {
	case readsText(f.Type()):
		return nil // it has said itself what makes no sense
	case (f.CanInt() && f.Int() < 0) || (f.CanFloat() && f.Float() < 0):
		return fmt.Errorf("%s is negative", o.Value())
	case o.Default == "" || o.Zero || !f.IsZero() || f.Kind() == reflect.Bool:
		return nil
	case f.CanInt() || f.CanUint() || f.CanFloat():
		return fmt.Errorf("must be more than 0 (the default is %s)", o.Default)
	default:
		return fmt.Errorf("must not be empty (the default is %s)", o.Default)
	}
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as 90s, 2m or 1h30m", text)
	}
	return d, nil
}

// Defaults sets every zero field of the struct that target points to to its default tag. Constructors call it, so that a
// Config made in code and one read from a file have the same defaults. It panics on a tag that does not parse: that is a
// mistake of the program, found by its first test.
func Defaults(target any) {
	opts, err := options(target)
	if err != nil {
		panic(err)
	}
	for _, o := range opts {
		if o.Default == "" || !o.field.IsZero() {
			continue
		}
		if err := o.set(o.Default); err != nil {
			panic(fmt.Sprintf("default of %s: %v", o.Key, err))
		}
	}
}
