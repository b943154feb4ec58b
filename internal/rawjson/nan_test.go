package rawjson_test

import (
	"testing"

	"tfpilot/internal/rawjson"
)

func TestWhatPythonTakesForANumberIsPutInQuotesAndNothingElse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":NaN,"b":[Infinity,-Infinity, 1]}`: `{"a":"NaN","b":["Infinity","-Infinity", 1]}`,
		`{"say \"NaN\"":"Infinity","n":NaN}`:    `{"say \"NaN\"":"Infinity","n":"NaN"}`,
		`{"a\\":NaN}`:                           `{"a\\":"NaN"}`,
		`NaN`:                                   `"NaN"`,
		`{"a":"NaN","b":-1}`:                    ``,
		``:                                      ``,
	} {
		if got := string(rawjson.QuoteNaN([]byte(in))); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
