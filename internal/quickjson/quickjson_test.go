package quickjson_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/quickjson"
)

// document has a field of each kind.
type document struct {
	Text   string           `json:"text"`
	Named  named            `json:"named,omitempty"`
	Int    int              `json:"int"`
	Small  int8             `json:"small"`
	Long   int64            `json:"long"`
	Float  float64          `json:"float"`
	Flag   bool             `json:"flag"`
	At     time.Time        `json:"at,omitzero"`
	Raw    json.RawMessage  `json:"raw,omitempty"`
	Number json.Number      `json:"number,omitempty"`
	Inner  inner            `json:"inner"`
	Maybe  *inner           `json:"maybe,omitempty"`
	Said   *string          `json:"said,omitempty"`
	Much   *float64         `json:"much,omitempty"`
	List   []inner          `json:"list,omitempty"`
	Texts  []string         `json:"texts,omitempty"`
	Bytes  []byte           `json:"bytes,omitempty"`
	Counts map[string]int64 `json:"counts,omitempty"`
	Bins   map[int]int      `json:"bins,omitempty"`
	Any    any              `json:"any,omitempty"`
	Whole  wholly           `json:"whole"`
	Hidden string           `json:"-"`

	Zero    zeroed   `json:"zero,omitzero"`
	Empty   *zeroed  `json:"empty,omitzero"`
	Nothing struct{} `json:"nothing,omitempty"` //nolint:modernize // which is what it is for
}

// zeroed says itself whether it is nothing.
type zeroed struct {
	N int `json:"n"`
}

func (z *zeroed) IsZero() bool { return z.N == 0 }

type named string

type inner struct {
	A int    `json:"a"`
	B string `json:"b"`
	// A type may lie within itself.
	Next *inner `json:"next,omitempty"`
}

// wholly reads itself, and need not look whether it is JSON.
type wholly struct{ text string }

func (w *wholly) UnmarshalJSON(b []byte) error {
	w.text = string(b)
	return nil
}

func (w *wholly) UnmarshalValidJSON(b []byte) error { return w.UnmarshalJSON(b) }

func (w wholly) MarshalJSON() ([]byte, error) {
	if w.text == "" {
		return []byte("null"), nil
	}
	return []byte(w.text), nil
}

// odd has keys for which encoding/json has rules of its own.
type odd struct {
	Untagged string
	Capital  string `json:"Capital"` //nolint:tagliatelle // which is what it is for
	Quoted   int    `json:"quoted,string"`
	inner
}

func same[T any](t *testing.T, text string) {
	t.Helper()
	var want T
	werr := json.Unmarshal([]byte(text), &want)
	got, err := quickjson.Decode[T]([]byte(text))
	if (err == nil) != (werr == nil) || err != nil && err.Error() != werr.Error() {
		t.Fatalf("%q: error %v, want %v", text, err, werr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %#v, want %#v", text, got, want)
	}
	sameBack(t, &want)
}

// sameBack writes what was read.
func sameBack[T any](t *testing.T, v *T) {
	t.Helper()
	want, werr := json.Marshal(v)
	got, err := quickjson.Encode(v)
	if string(got) != string(want) || (err == nil) != (werr == nil) || err != nil && err.Error() != werr.Error() {
		t.Fatalf("%s, %v, want %s, %v", got, err, want, werr)
	}
}

var texts = []string{
	`{"text":"a","named":"b","int":-1,"small":127,"long":9007199254740993,"float":1.5e3,"flag":true,"at":"2026-01-18T14:36:03.194Z"}`,
	`{"raw":{"x":[1, 2]},"number":1.50,"inner":{"a":1,"b":"x"},"maybe":{"a":2},"said":"yes","much":0.5,"list":[{"a":1},{"b":"2"}],"texts":["a","b"]}`,
	`{"bytes":"aGk=","counts":{"events":45,"tracks":-1},"bins":{"3":4},"any":{"x":null},"whole":[true,false,null],"unknown":{"deep":[[[{}]]]}}`,
	`{"maybe":null,"said":null,"much":null,"list":null,"counts":null,"at":null,"raw":null,"text":null,"int":null,"inner":null,"whole":null,"flag":null}`,
	" \t\r\n{ \"text\" : \"a\" , \"list\" : [ { } , { \"next\" : { \"a\" : 1 } } ] } \n", `{}`, `null`, `[]`, `"x"`, `7`, ``, ` `,
	`{"text":"\u00e9\n\"\\\/"}`, `{"text":"é"}`, "{\"text\":\"\xff\"}", "{\"text\":\"a\tb\"}", `{"text":"\x"}`, `{"text":"\u12"}`, `{"tex\u0074":"a"}`,
	`{"TEXT":"a"}`, `{"text":"a","Text":"b"}`, `{"text":"a","text":"b"}`, `{"inner":{"a":1},"inner":{"b":"x"}}`, `{"teſt":1,"maybe":{"b":"K"}}`, `{"counts":{"a":1,"a":2}}`,
	`{"text":1}`, `{"int":"1"}`, `{"int":1.0}`, `{"small":128}`, `{"int":1e2}`, `{"flag":"true"}`, `{"float":"1"}`, `{"float":1e999}`, `{"list":{}}`, `{"inner":[]}`, `{"number":"x"}`,
	`{"number":"1"}`, `{"counts":{"a":"1"}}`, `{"counts":{"a":null}}`, `{"counts":[]}`, `{"bins":{"x":1}}`, `{"bytes":"?"}`, `{"bytes":[1]}`, `{"at":"yesterday"}`, `{"texts":[1]}`,
	`{"int":01}`, `{"int":-}`, `{"int":1.}`, `{"float":.5}`, `{"float":1e}`, `{"float":1e+}`, `{"float":-0}`, `{"int":-0}`, `{"int":+1}`, `{"float":NaN}`, `{"x":tru}`, `{"x":nul`, `{"x":falsey}`,
	`{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{"list":[1,]}`, `{"list":[,]}`, `{"list":[`, `{"list":[{}`, `{"raw":[1,]}`, `{"raw":{"a":1,}}`, `{}x`, `{}{}`, "{}\x00",
	`{"raw":"\u12g4"}`, `{"raw":"\`, "{\"raw\":\"\x01\"}", `{"raw":"` + "\u2028" + `"}`, `{"raw":[}`, `{"raw":{]}`, `{"raw":{1:2}}`, `{"text":"a"}}`, `{"raw": [1] , "number": 1 ,"whole": {} }`,
	`{"raw":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, `{"raw":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`,
	`{"maybe":` + strings.Repeat(`{"next":`, 300) + `null` + strings.Repeat("}", 300) + `}`,
	`{"Untagged":"a","capital":"b","quoted":"7","a":1}`, `{"UNTAGGED":"a","quoted":7}`, `{"Hidden":"x","-":"y"}`,
}

func TestADocumentReadsAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		same[document](t, text)
		same[odd](t, text)
		same[[]inner](t, text)
		same[map[string]any](t, text)
		same[string](t, text)
		same[*inner](t, text)
	}
}

// inOnePass tells whether encoding/json was asked.
type inOnePass bool

func (o *inOnePass) UnmarshalJSON([]byte) error { *o = false; return nil }

func (o *inOnePass) UnmarshalValidJSON([]byte) error { *o = true; return nil }

// Whatever it does not read itself is left to encoding/json, and right as well, but for its price.
func TestDocumentsLikeOursAreReadInOnePass(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		`"text" : "a"`, `"int": -1`, `"float": 1.5e3`, `"flag":false`, `"at":"2026-01-18T14:36:03.194Z"`, `"raw": {"x":[1, true, null]}`,
		`"maybe":{"a":1,"next":null}`, `"maybe":null`, `"list":[{"a":1}, {}]`, `"list":[]`, `"counts":{"events": 45, "tracks":-1}`, `"counts":{}`, `"counts":null`, `"unknown":[[{}]]`,
	} {
		v, err := quickjson.Decode[struct {
			Text   string           `json:"text"`
			Int    int              `json:"int"`
			Float  float64          `json:"float"`
			Flag   bool             `json:"flag"`
			At     time.Time        `json:"at"`
			Raw    json.RawMessage  `json:"raw"`
			Maybe  *inner           `json:"maybe"`
			List   []inner          `json:"list"`
			Counts map[string]int64 `json:"counts"`
			Quick  inOnePass        `json:"quick"`
		}]([]byte(" {" + field + `, "quick":1} `))
		if err != nil || !v.Quick {
			t.Errorf("%s was left to encoding/json, %v", field, err)
		}
	}
}

func TestWhatWasReadDoesNotShareTheTextsMemory(t *testing.T) {
	t.Parallel()
	text := []byte(texts[0][:len(texts[0])-1] + "," + texts[1][1:len(texts[1])-1] + "," + texts[2][1:])
	v, err := quickjson.Decode[document](text)
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] = '!'
	}
	if after, err := json.Marshal(v); err != nil || string(after) != string(before) {
		t.Errorf("%s\nbecame\n%s, %v", before, after, err)
	}
}

func TestADocumentIsWrittenAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	deep, nan := &inner{}, math.NaN()
	for range 2000 {
		deep = &inner{Next: deep}
	}
	for _, d := range []document{
		{},
		{Text: "<&>\u2028\xff\"\\", Named: "x", Int: math.MinInt, Small: -128, Long: math.MaxInt64, Float: 1e21, Flag: true, At: time.Unix(1, 1).UTC()},
		{At: time.Date(2026, 1, 1, 0, 0, 0, 5000, time.FixedZone("", 3600)), Raw: json.RawMessage(` { "a" : "<" } `), Number: "1.50"},
		{At: time.Date(20026, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Raw: json.RawMessage("{")},
		{Number: "x"},
		{Much: &nan},
		{Float: math.Inf(1)},
		{Any: func() {}},
		{Maybe: deep, List: []inner{{A: 1}, *deep}, Texts: []string{}, Bytes: []byte("x"), Any: []any{1, "<"}},
		{Counts: map[string]int64{"b": 1, "a": -1, "<": 2, "é": 3, "": 4}, Bins: map[int]int{3: 4}, Whole: wholly{"[ 1 ]"}},
		{Empty: &zeroed{1}},
		{Empty: &zeroed{}, Zero: zeroed{1}, Nothing: struct{}{}},
	} {
		sameBack(t, &d)
		sameBack(t, &d.List)
		sameBack(t, &d.Counts)
		sameBack(t, &d.Any)
		sameBack(t, &d.At)
		sameBack(t, &odd{Capital: d.Text, inner: inner{A: d.Int}})
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		same[document](t, text)
		same[odd](t, text)
	})
}

func BenchmarkEncode(b *testing.B) {
	d, err := quickjson.Decode[document]([]byte(texts[0][:len(texts[0])-1] + "," + texts[1][1:]))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("quickjson", func(b *testing.B) {
		for b.Loop() {
			if _, err := quickjson.Encode(&d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(&d); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(texts[0][:len(texts[0])-1] + "," + texts[1][1:])
	b.Run("quickjson", func(b *testing.B) {
		for b.Loop() {
			if _, err := quickjson.Decode[document](text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			var d document
			if err := json.Unmarshal(text, &d); err != nil {
				b.Fatal(err)
			}
		}
	})
}
