//go:build integration

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/message"
)

// examined is what idds doctor says, by check.
func (b *ownBroker) examined(status int, args ...string) map[string]string {
	b.tb.Helper()
	conf := filepath.Join(b.tb.TempDir(), "idds.toml")
	must(b.tb, os.WriteFile(conf, []byte("[broker]\naddr = [\""+b.addr+"\"]\nlogin = \"panda\"\npasscode = \"panda\"\n"), 0o600))
	got, stdout, stderr := tool(b.tb, "idds", append([]string{"doctor", "--config", conf, "--probe-limit", "1s", "--output", "json"}, args...)...)
	var report struct {
		Checks []struct{ Check, Verdict, Found, Do string } `json:"checks"`
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || got != status {
		b.tb.Errorf("status %d, not %d; %v: %s%s", got, status, err, stdout, stderr)
	}
	out := map[string]string{}
	for _, c := range report.Checks {
		out[c.Check] = c.Verdict + ": " + c.Found
	}
	return out
}

func TestIntegrationArtemisTheDoctorFindsWhatIsWrongAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newOwnBroker(t)
	mustSay := func(found map[string]string, check, want string) {
		t.Helper()
		if !strings.Contains(found[check], want) {
			t.Errorf("%s: %q, want %q", check, found[check], want)
		}
	}
	const (
		toWorker = message.TopicResults + " -> " + message.QueueResultsWorker
		toFast   = message.TopicResults + " -> " + message.QueueResultsFast
		toIDDS   = message.TopicSlices + " -> " + message.QueueSlicesIDDS
	)
	found := b.examined(0)
	mustSay(found, "dead-letter address", "ok: ")
	mustSay(found, toIDDS, "ok: ")
	mustSay(found, toFast, "0 wait, 0 consumers")
	mustSay(found, toWorker, "not checked: ")
	mustSay(found, "duplicate detection", "ok: ")
	mustSay(found, "id-cache-size", "20000, as the broker says")
	mustSay(found, message.TopicWorkers, "ok: ")
	names := b.manage([]any{"getAddressNames"})

	// A queue of the fan-out without an anycast address of its name; one that is gone; no dead letters; no permission to send.
	queue := `{"name":"` + message.QueueResultsWorker + `","address":"` + message.TopicResults + `","routing-type":"MULTICAST","durable":true}`
	everybody := []any{"amq", "amq", "amq", "amq", "amq", "amq", "amq", "amq", "amq"}
	b.manage(
		[]any{"createQueue", queue}, []any{"destroyQueue", message.QueueResultsFast},
		[]any{"addAddressSettings", message.QueueSlicesIDDS, `{"deadLetterAddress":"","maxDeliveryAttempts":3}`},
		append([]any{"addSecuritySettings", message.TopicTransformer, "nobody"}, everybody...),
	)
	found = b.examined(42, "--result-queues", message.QueueResultsFast+","+message.QueueResultsIDDS+","+message.QueueResultsWorker)
	mustSay(found, "dead-letter address", "problem: without one the broker deletes what it gives up: "+message.QueueSlicesIDDS)
	mustSay(found, toWorker, "problem: the queue gets the messages, but whoever subscribes to its name hears nothing: there is no anycast address")
	mustSay(found, toFast, "problem: the broker has no such queue")
	mustSay(found, message.TopicTransformer, "problem: the broker does not ")
	mustSay(found, toIDDS, "ok: ")
	b.manage([]any{"removeSecuritySettings", message.TopicTransformer})

	// A queue of that name that nothing feeds.
	b.manage([]any{"destroyQueue", message.QueueResultsWorker}, []any{
		"createQueue",
		`{"name":"` + message.QueueResultsWorker + `","address":"` + message.QueueResultsWorker + `","routing-type":"ANYCAST","durable":true,"auto-create-address":true}`,
	})
	found = b.examined(42, "--result-queues", message.QueueResultsWorker)
	mustSay(found, toWorker, "problem: nothing arrives: the queue is bound to "+message.QueueResultsWorker)

	b.manage([]any{"destroyQueue", message.QueueResultsWorker})
	for _, q := range []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS, message.QueueResultsIDDS, "DLQ", "ExpiryQueue"} {
		if n := b.attribute("queue."+q, "MessageCount"); n != "[0]" {
			t.Errorf("%s messages left in %s", n, q)
		}
	}
	if got := b.manage([]any{"getAddressNames"}); !sameNames(got, names) {
		t.Errorf("addresses before %s\nand after %s", names, got)
	}
}

// sameNames compares two answers of the broker without their order, and without what the questions themselves made.
func sameNames(a, b string) bool {
	set := func(text string) map[string]bool {
		var list [][]string
		_ = json.Unmarshal([]byte(text), &list)
		out := map[string]bool{}
		for _, name := range list[0] {
			out[name] = name != message.QueueResultsWorker
		}
		delete(out, message.QueueResultsWorker)
		return out
	}
	x, y := set(a), set(b)
	for name := range x {
		if !y[name] {
			return false
		}
	}
	return len(x) == len(y)
}
