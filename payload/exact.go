package payload

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tfpilot/internal/hist"
	"tfpilot/internal/rawjson"
)

// exact refuses what encoding/json lets pass in a result document that it has decoded, and no other reader of the contract
// would: keys in other letters ("Counts"), and null for a value.
func exact(b []byte) error {
	if key, found := nullAfter(b); found {
		return fmt.Errorf("null after %.40q: leave the key out", key)
	}
	var doc struct {
		Histograms []rawjson.Object `json:"histograms"`
		Outputs    []rawjson.Object `json:"outputs"`
		Failure    rawjson.Object   `json:"failure"`
	}
	var all rawjson.Object
	for _, into := range []any{&all, &doc} {
		if err := json.Unmarshal(b, into); err != nil {
			return err
		}
	}
	if err := known[Result]("", all); err != nil {
		return err
	}
	for _, h := range doc.Histograms {
		if err := known[hist.H1]("a histogram's ", h); err != nil {
			return err
		}
	}
	for _, o := range doc.Outputs {
		if err := known[Output]("an output's ", o); err != nil {
			return err
		}
	}
	return known[Failure]("failure's ", doc.Failure)
}

// known holds the keys of an object to those of a type, letter by letter.
func known[T any](whose string, o rawjson.Object) error {
	keys := jsonKeys(reflect.TypeFor[T]())
	for _, member := range o {
		if !slices.Contains(keys, member.Key) {
			return fmt.Errorf("%skey %.40q is meant to be %q", whose, member.Key, strings.ToLower(member.Key))
		}
	}
	return nil
}

func jsonKeys(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// nullAfter finds a null in valid JSON, and the text before it, which is mostly its key.
func nullAfter(b []byte) (text string, found bool) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case 'n':
			return text, true
		case '"':
			start := i + 1
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			text = string(b[start:i])
		}
	}
	return "", false
}
