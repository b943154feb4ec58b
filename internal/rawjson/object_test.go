package rawjson_test

import (
	"encoding/json"
	"testing"

	"tfpilot/internal/rawjson"
)

func TestAnObjectKeepsOrderAndBytes(t *testing.T) {
	t.Parallel()
	const text = `{"z":1.50,"a":{"x":[1,"}]",{"y":"\\\""}]},"b\u0041":"<&>","empty":{},"none":null,"t":true}`
	var o rawjson.Object
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
