package message_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/message"
)

func TestAnObjectKeepsOrderAndBytes(t *testing.T) {
	t.Parallel()
	const text = `{"z":1.50,"a":{"x":[1,"}]",{"y":"\\\""}]},"b\u0041":"<&>","empty":{},"none":null,"t":true}`
	var o message.Object
	if err := json.Unmarshal([]byte(" "+text+"\n"), &o); err != nil {
		t.Fatal(err)
	}
	if got := string(o.Value("a")); got != `{"x":[1,"}]",{"y":"\\\""}]}` {
		t.Errorf("a is %s", got)
	}
	got, err := o.MarshalJSON()
	if want := `{"z":1.50,"a":{"x":[1,"}]",{"y":"\\\""}]},"bA":"<&>","empty":{},"none":null,"t":true}`; string(got) != want || err != nil {
		t.Errorf("got  %s\nwant %s, %v", got, want, err)
	}
}

func TestASliceWithAFieldOfTheWrongTypeKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	m, err := message.Decode[message.Slice]([]byte(
		`{"msg_type":"slice","run_id":7,"content":{"req_id":"r1","attempt":2,"start":"soon","filename":["x"],"other":1}}`))
	if err == nil {
		t.Error("it is valid")
	}
	if m.Content.Identity() != "r1" || m.Content.AttemptNumber() != 2 || m.Run().String() != "7" {
		t.Errorf("%+v", m)
	}
	o, err := m.Content.Copy()
	if err != nil || string(o.Value("other")) != "1" || string(o.Value("start")) != `"soon"` {
		t.Errorf("copied %v, %v", o, err)
	}
}

// FuzzObject holds our reading of objects to that of encoding/json.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"a":1,"a":2}`, `{"a":[{"b":"\"]"}],"c":-1.5e3}`, `[]`, `{"\u00e9":"x"}`, `{"a":"\\"}`, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ours message.Object
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
