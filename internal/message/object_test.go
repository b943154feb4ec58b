package message_test

import (
	"encoding/json"
	"testing"

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
