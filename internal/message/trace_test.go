package message_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tfpilot/internal/message"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestATraceparentIsReadAsW3CHasIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		parent:                                   parent,
		strings.Replace(parent, "-01", "-00", 1): "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
		"cc" + parent[2:] + "-what-comes-later":  parent, // a later version
		"":                                       "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7":    "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": "",
		"ff" + parent[2:]:            "",
		strings.ToUpper(parent):      "",
		parent + "-more":             "", // not in this version
		"00_" + parent[3:]:           "",
		"00-xyz92f" + parent[9:]:     "",
		parent + "\nBAD=1":           "",
		strings.Repeat("a", 1000000): "",
	} {
		got := message.ParseTrace(text)
		if got.IsZero() != (want == "") || !got.IsZero() && got.String() != want {
			t.Errorf("%.80q is %v, not %q", text, got, want)
		}
	}
}

func TestTheTraceOfASliceTravelsWithItsContent(t *testing.T) {
	t.Parallel()
	var c message.SliceContent
	if err := json.Unmarshal([]byte(`{"req_id":"a","traceparent":"`+parent+`"}`), &c); err != nil || c.Trace().String() != parent {
		t.Errorf("%v, %v", c.Trace(), err)
	}
	c.SetTrace(message.SliceTrace("ns", "7", "a"))
	text, err := json.Marshal(c)
	if again := message.SliceTrace("ns", "7", "a"); err != nil || !strings.Contains(string(text), `"traceparent":"`+again.String()+`"`) || again == message.SliceTrace("ns", "7", "b") {
		t.Errorf("%s, %v", text, err)
	}
	// What a producer writes there is never a reason not to work on its slice.
	for _, bad := range []string{`5`, `{"a":1}`, `null`, `"` + strings.Repeat("x", 1000) + `"`} {
		var s message.Slice
		err := json.Unmarshal([]byte(`{"msg_type":"slice","run_id":"7","content":{"req_id":"a","filename":"f","start":0,"end":1,"traceparent":`+bad+`}}`), &s)
		if err != nil || s.Validate() != nil || !s.Content.Trace().IsZero() {
			t.Errorf("%.40s: %v, %v, %v", bad, err, s.Validate(), s.Content.Trace())
		}
	}
}
