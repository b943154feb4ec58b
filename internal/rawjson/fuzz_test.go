package rawjson_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/rawjson"
)

// FuzzObject holds our reading of objects to that of encoding/json.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"a":1,"a":2}`, `{"a":[{"b":"\"]"}],"c":-1.5e3}`, `[]`, `{"\u00e9":"x"}`, `{"a":"\\"}`, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ours rawjson.Object
		var theirs map[string]any
		oerr, terr := json.Unmarshal(b, &ours), json.Unmarshal(b, &theirs)
		if (oerr == nil) != (terr == nil) {
			t.Fatalf("ours %v, theirs %v", oerr, terr)
		}
		if oerr != nil {
			return
		}
		out, err := ours.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var again map[string]any
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if bytes.ContainsRune(b, '\uFFFD') || !json.Valid(b) || !isText(b) {
			return // replaced characters may fall together
		}
		if diff := cmp.Diff(theirs, again); diff != "" {
			t.Error(diff)
		}
	})
}

func isText(b []byte) bool { return bytes.Equal(bytes.ToValidUTF8(b, nil), b) }
