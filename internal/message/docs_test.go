package message_test

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"tfpilot/internal/message"
)

// The examples of docs/messages.md are messages, and every key in them is one of ours.
func TestTheExamplesOfThePageAreMessages(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 4 {
		t.Fatalf("the page has %d examples, not those of a slice, a result, usage and input", len(blocks))
	}
	slice, err := message.Decode[message.Slice](blocks[0][1])
	if err != nil || slice.Content.Frames() == 0 {
		t.Errorf("the slice: %v, %d frames", err, slice.Content.Frames())
	}
	result, err := message.Decode[message.SliceResult](blocks[1][1])
	if err != nil {
		t.Errorf("the result: %v", err)
	}
	var usage message.Usage
	var input message.ResultInput
	for i, into := range []any{&slice, &result, &usage, &input} {
		if err := json.Unmarshal(blocks[i][1], into); err != nil {
			t.Errorf("example %d: %v", i, err)
		}
		back, err := json.Marshal(into)
		if err != nil {
			t.Errorf("example %d: %v", i, err)
		}
		hold(t, back, blocks[i][1])
	}
}

// hold reports the keys of an example, and of its content, that a message does not have.
func hold(t *testing.T, have, example []byte) {
	t.Helper()
	var there, wanted map[string]json.RawMessage
	if json.Unmarshal(have, &there) != nil || json.Unmarshal(example, &wanted) != nil {
		t.Errorf("%s or %s is no object", have, example)
	}
	for key := range wanted {
		if _, ok := there[key]; !ok {
			t.Errorf("no message has the key %q of the example", key)
		}
	}
	if wanted["content"] != nil {
		hold(t, there["content"], wanted["content"])
	}
}
