package traces_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"tfpilot/idds/sqlite"
	"tfpilot/idds/traces"
	"tfpilot/internal/commits"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

var (
	must  = testkit.Must
	until = testkit.Await
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const namespace = "test"

// span is one as it came over the wire.
type span struct {
	*wire.Span

	service string
}

func (s span) id() string     { return hex.EncodeToString(s.GetSpanId()) }
func (s span) parent() string { return hex.EncodeToString(s.GetParentSpanId()) }
func (s span) trace() string  { return hex.EncodeToString(s.GetTraceId()) }

func (s span) attribute(key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// receiver is a collector: it speaks OTLP/HTTP and keeps what comes.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	spans  []span
	header http.Header
	// answer is made to every request, when it is not nil, in place of taking it.
	answer http.HandlerFunc
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
			return
		}
		if err := r.take(req); err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(req *http.Request) error {
	if req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		return errors.New("not what a collector gets: " + req.URL.Path + " " + req.Header.Get("Content-Type"))
	}
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			return err
		}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var m collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(b, &m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.header = req.Header
	for _, resource := range m.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, span{s, service})
			}
		}
	}
	return nil
}

func (r *receiver) got() []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]span{}, r.spans...)
}

func (r *receiver) setAnswer(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

// rig is a store whose slices are traced.
type rig struct {
	ledger.Store

	t        *testing.T
	exporter *traces.Exporter
	said     *lines
	stop     func()
}

func newRig(t *testing.T, cfg traces.Config) *rig {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), logging.Discard())
	must(t, err)
	r := &rig{t: t, said: &lines{}}
	cfg.Namespace = namespace
	r.exporter, err = traces.New(t.Context(), cfg, slog.New(slog.NewTextHandler(r.said, nil)))
	must(t, err)
	r.Store = commits.Watch(store, r.exporter.Hear)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.exporter.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = store.Close()
	})
	t.Cleanup(r.stop)
	return r
}

func (r *rig) rules(fn func(tx ledger.Tx, l ledger.Rules) error) {
	r.t.Helper()
	must(r.t, r.Update(r.t.Context(), func(tx ledger.Tx) error { return fn(tx, ledger.Rules{}) }))
}

// begin is when everything begins.
var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is some seconds after that.
func at(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// sent publishes a slice whose content has a trace, or none.
func (r *rig) sent(identity, traceparent string) {
	r.t.Helper()
	body := `{"content":{"req_id":"` + identity + `"}}`
	if traceparent != "" {
		body = `{"content":{"req_id":"` + identity + `","traceparent":"` + traceparent + `"}}`
	}
	r.rules(func(tx ledger.Tx, l ledger.Rules) error {
		_, err := l.Sent(tx, message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run("7"), CreatedAt: message.At(at(2)), Namespace: namespace,
			Content: message.SliceContent{ReqID: message.Text(identity), Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(9), STFCreatedAt: message.At(begin)},
		}, []byte(body), at(2))
		return err
	})
}

// result is one of an attempt that was received, started, processed, published and counted a second apart.
func (r *rig) result(identity string, attempt int, f *message.Failure) {
	r.t.Helper()
	m := done(identity, attempt)
	if f != nil {
		m.Content.State, m.Content.Failure = message.StateFailed, f
	}
	r.rules(func(tx ledger.Tx, l ledger.Rules) error { return l.Result(tx, m, at(7)) })
}

func done(identity string, attempt int) message.SliceResult {
	return message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run("7"), Namespace: namespace, CreatedAt: message.At(at(6)),
		Content: message.ResultContent{
			State: message.StateDone, ReqID: message.Text(identity), Attempt: message.NewInt(int64(attempt)), PilotID: "pilot-1", Hostname: "node1",
			ReceivedAt: message.At(at(3)), ProcessingStartAt: message.At(at(4)), ProcessedAt: message.At(at(5)),
		},
	}
}

// lines is written by the exporter while the test reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
