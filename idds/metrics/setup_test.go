package metrics_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tfpilot/idds/metrics"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/access"
	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

const namespace = "test"

// bench is a store that is measured.
type bench struct {
	ledger.Store

	t       *testing.T
	metrics *metrics.Metrics
	now     time.Time
}

func open(t *testing.T, dir string) *bench {
	t.Helper()
	store, err := sqlite.Open(t.Context(), dir, logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	m, err := metrics.New(t.Context(), store, metrics.Config{Namespace: namespace, WorkerSilence: 15 * time.Second, Log: logging.Discard()})
	must(t, err)
	m.Ask(metrics.Live{StoreBytes: store.SizeBytes})
	return &bench{t: t, metrics: m, Store: commits.Watch(store, m.Hear), now: time.Now()}
}

// rules writes by the rules of the ledger.
func (b *bench) rules(fn func(tx ledger.Tx, l ledger.Rules) error) {
	b.t.Helper()
	must(b.t, b.Update(b.t.Context(), func(tx ledger.Tx) error { return fn(tx, ledger.Rules{}) }))
}

// sent publishes a slice that was created a while ago, its data taken a second earlier.
func (b *bench) sent(run, identity string, ago time.Duration) {
	b.t.Helper()
	b.rules(func(tx ledger.Tx, l ledger.Rules) error {
		_, err := l.Sent(tx, message.Slice{
			MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(b.now.Add(-ago)), Namespace: namespace,
			Content: message.SliceContent{
				ReqID: message.Text(identity), Filename: "f", Start: message.NewInt(0), End: message.NewInt(9), STFCreatedAt: message.At(b.now.Add(-ago - time.Second)),
			},
		}, []byte("{}"), b.now)
		return err
	})
}

func (b *bench) result(run, identity string, f *message.Failure) {
	b.t.Helper()
	took := 2.0
	m := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
		Content: message.ResultContent{State: message.StateDone, ReqID: message.Text(identity), ProcessingTime: &took, Failure: f},
	}
	if f != nil {
		m.Content.State = message.StateFailed
	}
	b.rules(func(tx ledger.Tx, l ledger.Rules) error { return l.Result(tx, m, b.now) })
}

func (b *bench) report(w document.WorkerReport) {
	b.t.Helper()
	w.Namespace = namespace
	b.rules(func(tx ledger.Tx, _ ledger.Rules) error { return tx.PutWorker(w, b.now) })
}

// scrape is what somebody gets who may look: every number by its name and labels.
func (b *bench) scrape() map[string]float64 {
	b.t.Helper()
	status, text := get(b.t, b.metrics.Handler(), access.Principal{Role: access.Viewer})
	if status != http.StatusOK {
		b.t.Fatalf("%d %s", status, text)
	}
	return parse(b.t, text)
}

func get(t *testing.T, h http.Handler, who access.Principal) (status int, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(access.WithPrincipal(context.WithoutCancel(t.Context()), who), http.MethodGet, "/metrics", nil))
	return w.Code, w.Body.String()
}

// parse reads a scrape and holds it to the conventions of Prometheus.
func parse(t *testing.T, text string) map[string]float64 {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader([]byte(text)))
	must(t, err)
	out := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			key := name
			for i, l := range slices.Sorted(maps.Keys(labels)) {
				key += map[bool]string{true: "{", false: ","}[i == 0] + l + "=" + labels[l]
			}
			if len(labels) > 0 {
				key += "}"
			}
			switch {
			case m.GetHistogram() != nil:
				out[key+" count"], out[key+" sum"] = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
			case m.GetCounter() != nil:
				out[key] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				out[key] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// want looks for numbers in a scrape.
func want(t *testing.T, got, wanted map[string]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if n, there := got[name]; !there || n < wanted[name]-1e-6 || n > wanted[name]+1e-6 {
			t.Errorf("%s is %v (there: %v), not %v", name, n, there, wanted[name])
		}
	}
}
