package traces_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"

	"tfpilot/idds/traces"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// tree is a trace as lines "program: name, seconds from..to", each with its parent's name before it.
func tree(spans []span) map[string]string {
	names := map[string]string{}
	for _, s := range spans {
		names[s.id()] = s.GetName() + s.attribute("tfpilot.reason")
	}
	out := map[string]string{}
	for _, s := range spans {
		second := func(n uint64) int { return int(time.Unix(0, int64(n)).Sub(begin).Seconds()) }
		out[names[s.parent()]+" > "+s.GetName()] = fmt.Sprintf("%s %d..%d", s.service, second(s.GetStartTimeUnixNano()), second(s.GetEndTimeUnixNano()))
	}
	return out
}

func TestASliceIsATraceAcrossThePrograms(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 1, Headers: map[string]string{"Authorization": "Bearer mine"}})
	r.sent("a", "")
	r.result("a", 1, nil)
	r.stop()
	if d := cmp.Diff(map[string]string{
		" > slice": "daq 0..7", "slice > data taken to slice": "daq 0..2", "slice > attempt": "idds 2..7", "attempt > queued": "idds 2..3",
		"attempt > waiting in the pilot": "pilot 3..4", "attempt > payload": "pilot 4..5", "attempt > publishing": "pilot 5..6", "attempt > counting": "idds 6..7",
	}, tree(c.got())); d != "" {
		t.Error(d)
	}
	want := message.SliceTrace(namespace, "7", "a")
	for _, s := range c.got() {
		if s.trace() != fmt.Sprintf("%x", want.ID) || s.GetName() == "slice" && s.id() != fmt.Sprintf("%x", want.Span) {
			t.Errorf("%s is %s in %s, not of %s", s.GetName(), s.id(), s.trace(), want)
		}
		if s.GetName() == "payload" && (s.attribute("tfpilot.pilot_id") != "pilot-1" || s.attribute("host.name") != "node1") {
			t.Errorf("a payload without its place: %v", s.GetAttributes())
		}
	}
	if c.header.Get("Authorization") != "Bearer mine" {
		t.Errorf("%v", c.header)
	}
	if sent, failed, dropped := r.exporter.Counts(); sent != 8 || failed != 0 || dropped != 0 {
		t.Errorf("counted %d sent, %d failed, %d dropped", sent, failed, dropped)
	}
}

func TestSpansOfMessagesFollowTheConventionsForThem(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 1})
	r.sent("a", "")
	r.result("a", 1, nil)
	r.stop()
	got := map[string]string{}
	for _, s := range c.got() {
		if system := s.attribute("messaging.system"); system != "" {
			got[s.GetName()] = fmt.Sprintf("%s %s: %s %s %s", s.GetKind(), system, s.attribute("messaging.operation.type"), s.attribute("messaging.operation.name"), s.attribute("messaging.destination.name"))
		}
		for _, a := range s.GetAttributes() {
			if a.GetKey() == "tfpilot.attempt" && a.GetValue().GetIntValue() != 1 || a.GetValue().GetStringValue() == "" && a.GetValue().GetIntValue() == 0 && !strings.HasPrefix(a.GetKey(), "tfpilot.frames.") {
				t.Errorf("%s: %v", s.GetName(), a)
			}
		}
	}
	if d := cmp.Diff(map[string]string{
		"slice":      "SPAN_KIND_PRODUCER activemq: send send /topic/panda.slices",
		"payload":    "SPAN_KIND_CONSUMER activemq: process process /queue/panda.slices.transformer",
		"publishing": "SPAN_KIND_PRODUCER activemq: send send /topic/panda.results",
		"counting":   "SPAN_KIND_CONSUMER activemq: process process /queue/panda.results.idds",
	}, got); d != "" {
		t.Error(d)
	}
}

func TestAProducersTraceIsGoneOnWith(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 1})
	r.sent("a", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	r.sent("unrecorded", "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00")
	r.sent("nonsense", "00-x")
	for _, identity := range []string{"a", "unrecorded", "nonsense"} {
		r.result(identity, 1, nil)
	}
	r.stop()
	roots := map[string]string{}
	for _, s := range c.got() {
		if s.GetName() == "slice" {
			roots[s.attribute("tfpilot.slice_id")] = s.trace() + " " + s.parent()
		}
	}
	if d := cmp.Diff(map[string]string{
		"a": "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7", "nonsense": fmt.Sprintf("%x ", message.SliceTrace(namespace, "7", "nonsense").ID),
	}, roots); d != "" {
		t.Error(d)
	}
}

func TestFailuresAreTracedWhateverTheRatio(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 0})
	for _, identity := range []string{"good", "bad"} {
		r.sent(identity, "")
	}
	r.result("good", 1, nil)
	r.result("bad", 1, &message.Failure{Name: "data_range", Class: "data", Message: "no such frames"})
	r.stop()
	slices := 0
	for _, s := range c.got() {
		if s.GetName() != "slice" && s.GetName() != "attempt" {
			continue
		}
		slices++
		if s.GetStatus().GetCode() != wire.Status_STATUS_CODE_ERROR || s.attribute("error.type") != "data_range" {
			t.Errorf("%s: %v %v", s.GetName(), s.GetStatus(), s.GetAttributes())
		}
	}
	if slices != 2 {
		t.Errorf("%d spans of one failed slice: %v", slices, tree(c.got()))
	}
}

func TestARetriedSliceHasAllItsAttempts(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 1})
	r.sent("a", "")
	r.result("a", 1, &message.Failure{Name: "payload_failed", Class: "payload", Retryable: true})
	r.result("a", 2, nil)
	r.result("a", 2, nil) // absorbed: no second trace
	r.stop()
	n := map[string]int{}
	for _, s := range c.got() {
		n[s.GetName()]++
	}
	if n["slice"] != 1 || n["attempt"] != 2 || n["payload"] != 2 {
		t.Errorf("%v", n)
	}
}

func TestACollectorThatIsAwayCostsNothing(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	c.setAnswer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 1})
	r.sent("a", "")
	r.result("a", 1, nil)
	until(t, "the failure in the log", func() bool { return strings.Contains(r.said.String(), "do not reach their collector") })
	c.setAnswer(nil)
	r.sent("b", "")
	r.result("b", 1, nil)
	until(t, "the good news in the log", func() bool { return strings.Contains(r.said.String(), "reach their collector again") })
	if sent, failed, _ := r.exporter.Counts(); sent != 8 || failed != 8 {
		t.Errorf("%d sent, %d failed", sent, failed)
	}
}

func TestACollectorThatHangsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	c := newReceiver(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	c.setAnswer(func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-hang:
		case <-req.Context().Done():
		}
	})
	r := newRig(t, traces.Config{Endpoint: c.URL, SampleRatio: 1})
	r.rules(func(tx ledger.Tx, l ledger.Rules) error { // more than the queue holds
		for i := range 6000 {
			if err := l.Result(tx, done(fmt.Sprint(i), 1), at(7)); err != nil {
				return err
			}
		}
		return nil
	})
	until(t, "slices to be dropped", func() bool { _, _, dropped := r.exporter.Counts(); return dropped > 0 })
	r.stop() // ends, and waits for none of it for long
	if sent, _, _ := r.exporter.Counts(); sent != 0 {
		t.Errorf("%d were sent", sent)
	}
}

func TestWhatCannotWorkIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  traces.Config
		want string
	}{
		{traces.Config{Endpoint: "collector:4318"}, "no address such as"},
		{traces.Config{Endpoint: "ftp://collector"}, "no address such as"},
		{traces.Config{Endpoint: "https://user:hush@collector"}, "no address such as"},
		{traces.Config{Endpoint: "http://collector:4318", SampleRatio: 2}, "between 0 and 1"},
		{traces.Config{Endpoint: "http://collector:4318", CAFile: "/nowhere"}, "--otlp-ca-file"},
		{traces.Config{Endpoint: "http://collector:4318", CAFile: "/dev/null"}, "no certificate"},
	} {
		if _, err := traces.New(t.Context(), c.cfg, logging.Discard()); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	if h, err := traces.ReadHeaders("# ours\nAuthorization: Bearer a:b\n\n"); err != nil || h["Authorization"] != "Bearer a:b" {
		t.Errorf("%v, %v", h, err)
	}
	if _, err := traces.ReadHeaders("hush"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}
