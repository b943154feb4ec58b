package metrics

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
)

// scrape makes what is not counted as it happens.
type scrape struct{ *Metrics }

// Describe says nothing, which makes the collector an unchecked one: what there is depends on runs and sites.
func (scrape) Describe(chan<- *prometheus.Desc) {}

// askLimit bounds each question at a scrape.
const askLimit = 2 * time.Second

// Collect tells how all is.
func (s scrape) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	live := s.live
	now := time.Now()
	if live.Service != nil { // reports have its time
		now = live.Service.Now()
	}
	s.runMetrics(out)
	s.workerMetrics(out, now)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), askLimit) // a collector has no context of its own
	defer cancel()
	s.serviceMetrics(ctx, out, live)
}

var (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// one is a number of a scrape; labels are names and values in turn.
func one(out chan<- prometheus.Metric, kind prometheus.ValueType, value float64, name, help string, labels ...string) {
	var keys, values []string
	for i := 0; i < len(labels); i += 2 {
		keys, values = append(keys, labels[i]), append(values, labels[i+1])
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, keys, nil), kind, value, values...)
}

func (s scrape) runMetrics(out chan<- prometheus.Metric) {
	sum := s.runs.sum
	for _, state := range document.RunStates() {
		one(out, gauge, float64(s.runs.states[state]), "idds_runs", "Runs by state; of an unannounced one only results are known.", "state", string(state))
	}
	for _, c := range []struct {
		name, help string
		n          int
	}{
		{"idds_slices_published_total", "Slices that are known.", sum.published},
		{"idds_slices_done_total", "Slices that are done.", sum.done},
		{"idds_slices_failed_total", "Slices that ended as failed, those that were corrected later too.", sum.failed + sum.corrected},
		{"idds_slices_corrected_total", "Slices that were done after they had ended as failed.", sum.corrected},
		{"idds_attempts_retried_total", "Attempts beyond the first of their slices.", sum.retried},
		{"idds_results_absorbed_total", "Results that changed nothing: their slices had one.", sum.absorbed},
		{"idds_results_unmatched_total", "Results that fit no slice.", sum.unmatched},
		{"idds_results_unmerged_total", "Results that are counted and whose histograms fit no others of the run.", sum.unmerged},
	} {
		one(out, counter, float64(c.n), c.name, c.help)
	}
	one(out, gauge, float64(sum.unexplained), "idds_results_unexplained", "Results that came twice in runs in which no fault was seen; 0 unless there is a bug.")
	s.openRuns(out, s.runs.open())
}

// openRuns tells of each run that is not closed.
func (s scrape) openRuns(out chan<- prometheus.Metric, open []figures) {
	running := map[string]int{}
	for _, w := range s.workers {
		for run, n := range w.inHand {
			running[run] += n
		}
	}
	slices.SortFunc(open, func(a, b figures) int { return cmp.Or(b.opened.Compare(a.opened), cmp.Compare(b.id, a.id)) })
	shown := names{most: mostRuns}
	sums := map[string]figures{}
	for _, f := range open { // the newest first: of too many the oldest are told together
		id := shown.of(f.id)
		sum := sums[id]
		sum.published, sum.done, sum.failed = sum.published+f.published, sum.done+f.done, sum.failed+f.failed
		sum.running += min(running[f.id], f.outstanding())
		sums[id] = sum
	}
	for id, sum := range sums {
		for state, n := range map[string]int{"waiting": sum.outstanding() - sum.running, "running": sum.running, "done": sum.done, "failed": sum.failed} {
			one(out, gauge, float64(n), "idds_run_slices", "Slices of a run that is not closed, by state.", "run", id, "state", state)
		}
	}
}

func (s scrape) workerMetrics(out chan<- prometheus.Metric, now time.Time) {
	type site struct {
		states      map[string]int
		slots, busy int
	}
	sites := map[string]*site{}
	s.forgetWorkers(now)
	for _, w := range s.workers {
		at := sites[w.site]
		if at == nil {
			at = &site{states: map[string]int{}}
			sites[w.site] = at
		}
		state := w.state(now)
		at.states[state]++
		if state != "silent" {
			at.slots, at.busy = at.slots+w.slots, at.busy+w.busy
		}
	}
	for name, at := range sites {
		for _, state := range states {
			one(out, gauge, float64(at.states[state]), "idds_workers", "Workers by site and state; silent ones have not reported for three heart-beats.", "site", name, "state", state)
		}
		one(out, gauge, float64(at.slots), "idds_worker_slots", "Payloads that the workers of a site may run at once.", "site", name)
		one(out, gauge, float64(at.busy), "idds_worker_slots_busy", "Payloads that run at the workers of a site.", "site", name)
	}
}

func (s scrape) serviceMetrics(ctx context.Context, out chan<- prometheus.Metric, live Live) {
	if live.Link != nil {
		state := live.Link.State()
		one(out, gauge, truth(state.Connected), "idds_broker_connected", "Whether there is a connection with the broker.")
		one(out, counter, float64(state.Generation), "idds_broker_connections_total", "Connections with the broker that were made; each after the first is one after a loss.")
	}
	if live.Service != nil {
		for _, part := range live.Service.Health(ctx).Parts {
			one(out, gauge, truth(part.OK), "idds_healthy", "Whether a part of what the service stands on is as it should be, as GET /v1/health says.", "part", part.Name)
		}
		junk, foreign := live.Service.Rejected()
		const help = "Messages that are none of ours, by why: they cannot be understood, or are of another namespace."
		one(out, counter, float64(junk), "idds_messages_rejected_total", help, "reason", "junk")
		one(out, counter, float64(foreign), "idds_messages_rejected_total", help, "reason", "foreign")
		s.demandMetrics(ctx, out, live)
	}
	if live.StoreBytes != nil {
		if n, err := live.StoreBytes(ctx); err == nil {
			one(out, gauge, float64(n), "idds_store_size_bytes", "What the store takes.")
		} else {
			s.missed(ctx, "the size of the store", err)
		}
	}
	if live.Traces != nil {
		traceMetrics(out, live.Traces)
	}
	if live.Watchers != nil {
		one(out, gauge, float64(live.Watchers()), "idds_watchers", "Who looks at the page or a terminal, by server-sent events.")
	}
}

func traceMetrics(out chan<- prometheus.Metric, counts func() (sent, failed, dropped int64)) {
	sent, failed, dropped := counts()
	const help = "Spans of slices by what became of them."
	one(out, counter, float64(sent), "idds_trace_spans_total", help, "outcome", "sent")
	one(out, counter, float64(failed), "idds_trace_spans_total", help, "outcome", "failed")
	one(out, counter, float64(dropped), "idds_trace_slices_dropped_total", "Slices of which there is no trace: the collector is too slow, or away.")
}

func (s scrape) demandMetrics(ctx context.Context, out chan<- prometheus.Metric, live Live) {
	demand, err := live.Service.DemandLately(ctx)
	if err != nil {
		s.missed(ctx, "the demand", err)
		return
	}
	shown, wanted := names{most: mostRuns}, map[string]int{}
	for _, d := range slices.Backward(demand.Demands) { // the newest first
		if d.State != document.RunClosed {
			wanted[shown.of(d.RunID)] += d.Wanted
		}
	}
	for id, n := range wanted {
		one(out, gauge, float64(n), "idds_run_wanted_workers", "Workers that a run wants that is not closed.", "run", id)
	}
}

// missed says of a number why it is not there; the others are.
func (s scrape) missed(ctx context.Context, what string, err error) {
	s.cfg.Log.DebugContext(ctx, "a metric is missing: "+what, logging.Err(err)) //nolint:sloglint // three texts in all
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
