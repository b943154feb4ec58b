package metainfo_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/metainfo"
)

func live(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/prompt_broker.json")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSpace(b)
}

func TestTheAnswerOfALiveServerIsValid(t *testing.T) {
	t.Parallel()
	var p metainfo.PromptBroker
	if err := json.Unmarshal(live(t), &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(metainfo.BrokerList{"broker.example.org:61612"}, p.ResultBroker.Brokers); diff != "" {
		t.Error(diff)
	}
}

func TestPromptBrokerNamesEveryMissingEntry(t *testing.T) {
	t.Parallel()
	var p metainfo.PromptBroker
	if err := json.Unmarshal([]byte(`{"transformer_broker":{"destination":"/queue/x","brokers":["a:1"," b:2 "]},"result_broker":null,"ejfat":{}}`), &p); err != nil {
		t.Fatal(err)
	}
	err := p.Validate()
	if want := "transformer_broadcast_broker missing\nresult_broker missing"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if diff := cmp.Diff(metainfo.BrokerList{"a:1", "b:2"}, p.TransformerBroker.Brokers); diff != "" {
		t.Error(diff)
	}
}

// FuzzPromptBroker looks for a configuration that is accepted, and then is not the same when it is passed on.
func FuzzPromptBroker(f *testing.F) {
	f.Add(live(f))
	f.Add([]byte(`{"transformer_broker":{"destination":"/queue/x","brokers":["a:1"," b:2 "]},"result_broker":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, again metainfo.PromptBroker
		if json.Unmarshal(b, &first) != nil || first.Validate() != nil {
			return
		}
		out, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil || again.Validate() != nil {
			t.Fatalf("%s: %v, %v", out, err, again.Validate())
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%q changes when it is passed on: %s", b, diff)
		}
	})
}
