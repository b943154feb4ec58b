package e2e_test

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// collected are the spans that a collector got: "program name" by trace.
type collected struct {
	mu     sync.Mutex
	traces map[string]map[string]bool
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b, err := io.ReadAll(body)
	var m collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(b, &m) != nil {
		http.Error(w, "not of OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range m.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				id := hex.EncodeToString(s.GetTraceId())
				if c.traces[id] == nil {
					c.traces[id] = map[string]bool{}
				}
				c.traces[id][service+" "+s.GetName()] = true
			}
		}
	}
}

// has reports whether a trace has a span.
func (c *collected) has(id, span string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.traces[id][span]
}

func TestASliceIsTracedFromTheDataTakenToItsResult(t *testing.T) {
	t.Parallel()
	got := &collected{traces: map[string]map[string]bool{}}
	receiver := httptest.NewServer(got)
	t.Cleanup(receiver.Close)
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--otlp-endpoint", receiver.URL))
	seen := filepath.Join(t.TempDir(), "seen")
	must(t, c.StartPilot(t.Context(), "pilot", "--run", run, "--payload", payloadFile(t, "echo $TRACEPARENT >>"+seen+"; "+counts)))
	must(t, c.StartDAQ(t.Context(), run, "--stf-count", "1", "--frames", "20", "--slices-per-sample", "3", "--time-scale", "0.1"))
	c.check(t, document.SliceCounts{Published: 3, Done: 3})
	text, err := os.ReadFile(seen)
	must(t, err)
	parents := strings.Fields(string(text)) // what the programs go on with
	if len(parents) != 3 {
		t.Fatalf("the payload saw %q", text)
	}
	for _, parent := range parents {
		trace := message.ParseTrace(parent)
		id := hex.EncodeToString(trace.ID[:])
		for _, span := range []string{"daq slice", "daq data taken to slice", "idds attempt", "idds queued", "pilot payload", "pilot publishing", "idds counting"} {
			await(t, "the span "+span, func() bool { return got.has(id, span) })
		}
	}
}
