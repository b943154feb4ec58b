package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tfpilot/idds"
	"tfpilot/internal/access"
	"tfpilot/internal/broker"
	"tfpilot/internal/commits"
	"tfpilot/internal/ledger"
	"tfpilot/internal/version"
)

// Config is what there is to be measured.
type Config struct {
	Namespace string
	// WorkerSilence is that of the service.
	WorkerSilence time.Duration
	// Log hears of scrapes that went wrong.
	Log *slog.Logger
}

// Live is what is asked at a scrape, and what may be nil.
type Live struct {
	Service *idds.Service
	Link    *broker.Link
	// StoreBytes is how much the store takes.
	StoreBytes func(ctx context.Context) (int64, error)
	// Watchers is how many look at the page or a terminal.
	Watchers func() int
	// Traces are the spans that a collector has and those that it did not get, and the slices that were dropped before.
	Traces func() (sent, failed, dropped int64)
}

// Metrics are what one idds counts.
type Metrics struct {
	cfg      Config
	registry *prometheus.Registry
	started  time.Time

	slices   sliceMetrics
	commits  commitMetrics
	requests requestMetrics
	work     workMetrics

	mu      sync.Mutex
	live    Live
	runs    runs
	workers map[string]worker
	sites   names
	// mostWorkers is as many as are kept before some are forgotten.
	mostWorkers int
}

// New reads what there is in a store, before anything else writes to it.
func New(ctx context.Context, store ledger.Store, cfg Config) (*Metrics, error) {
	m := &Metrics{
		cfg: cfg, registry: prometheus.NewRegistry(), started: time.Now(), runs: newRuns(), workers: map[string]worker{}, mostWorkers: manyWorkers, sites: names{most: mostSites},
	}
	m.slices, m.commits, m.requests, m.work = newSliceMetrics(m.registry), newCommitMetrics(m.registry), newRequestMetrics(m.registry), newWorkMetrics(m.registry)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "idds_build_info", Help: "Which idds this is, and of which namespace; 1.", ConstLabels: prometheus.Labels{"version": version.String(), "goversion": runtime.Version(), "namespace": label(cfg.Namespace)},
	})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), scrape{m})
	if err := ledger.EveryRun(ctx, store, ledger.RunFilter{Namespace: cfg.Namespace}, func(page []ledger.Run) {
		for i := range page {
			m.runs.hear(0, &commits.RunChange{Run: page[i]})
		}
	}); err != nil {
		return nil, err
	}
	workers, err := store.FindWorkers(ctx, ledger.WorkerFilter{Namespace: cfg.Namespace, SeenSince: m.started.Add(-forget)})
	for i := range workers {
		m.seeWorker(0, workers[i].WorkerReport, workers[i].LastSeen)
	}
	return m, err
}

// Ask says what is asked at a scrape; until then that is nothing.
func (m *Metrics) Ask(l Live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = l
}

// Hear counts what a transaction has changed.
func (m *Metrics) Hear(c commits.Commit) {
	m.commits.hear(c)
	if c.Err != nil {
		return
	}
	for i := range c.Slices {
		if c.Slices[i].Key.Namespace == m.cfg.Namespace {
			m.slices.hear(c.Slices[i])
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range c.Runs {
		if c.Runs[i].Namespace == m.cfg.Namespace {
			m.runs.hear(c.Number, &c.Runs[i])
		}
	}
	for _, w := range c.Workers {
		if w.Namespace == m.cfg.Namespace {
			m.seeWorker(c.Number, w.WorkerReport, w.At)
		}
	}
}

// Handler serves the metrics to who may see the namespace.
func (m *Metrics) Handler() http.Handler {
	serve := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(m.cfg.Log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: scrapeLimit,
		DisableCompression: true, // the REST interface compresses nothing either: what holds secrets beside what others write should not
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !access.PrincipalOf(r.Context()).Sees(m.cfg.Namespace) {
			http.Error(w, "the token is of another namespace than "+m.cfg.Namespace, http.StatusForbidden)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

// scrapeLimit bounds a scrape; Prometheus gives up after 10 s by itself.
const scrapeLimit = 8 * time.Second

// commitMetrics are of the store's transactions.
type commitMetrics struct {
	took   prometheus.Histogram
	failed *prometheus.CounterVec
}

func newCommitMetrics(r prometheus.Registerer) commitMetrics {
	m := commitMetrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "idds_store_commit_duration_seconds", Help: "Time of a transaction of the store, with the wait for its turn.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idds_store_commit_failures_total", Help: "Transactions of which nothing was stored, by whether the store was not available (they are tried again) or refused them.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"unavailable", "refused"} {
		m.failed.WithLabelValues(reason)
	}
	r.MustRegister(m.took, m.failed)
	return m
}

func (m commitMetrics) hear(c commits.Commit) {
	switch {
	case c.Err == nil:
		m.took.Observe(c.Took.Seconds())
	case errors.Is(c.Err, ledger.ErrUnavailable):
		m.failed.WithLabelValues("unavailable").Inc()
	case !errors.Is(c.Err, context.Canceled):
		m.failed.WithLabelValues("refused").Inc()
	}
}
