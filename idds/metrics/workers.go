package metrics

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tfpilot/internal/document"
)

// forget is after how long without a report a worker is no longer counted as silent.
const forget = time.Hour

// manyWorkers is how many are kept before it is looked which of them are gone, whether anybody scrapes or not; from then on, as soon as
// they are twice as many.
const manyWorkers = 1000

// worker is what is kept of one.
type worker struct {
	number  uint64
	site    string
	phase   document.WorkerPhase
	held    bool
	slots   int
	busy    int
	inHand  map[string]int // slices by run
	seen    time.Time
	silence time.Duration
	totals  document.WorkerTotals
}

// state is what a worker counts as.
func (w worker) state(now time.Time) string {
	switch {
	case now.Sub(w.seen) >= w.silence:
		return "silent"
	case w.held:
		return "held"
	default:
		return string(w.phase)
	}
}

// states of workers, all that there are.
var states = []string{string(document.WorkerStarting), string(document.WorkerRunning), string(document.WorkerDraining), "held", "silent"}

// workMetrics add up what workers say that they have done: each report has the sums since the worker's start.
type workMetrics struct {
	ended, slices                 *prometheus.CounterVec
	wall, cpu, startup, suspended *prometheus.CounterVec
}

func newWorkMetrics(r prometheus.Registerer) workMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"site"}, labels...))
		r.MustRegister(c)
		return c
	}
	return workMetrics{
		ended:     counter("idds_workers_ended_total", "Workers that have said why they end.", "class", "name"),
		slices:    counter("idds_worker_slices_total", "What became of slices at workers; released ones went back uncounted.", "outcome"),
		wall:      counter("idds_worker_payload_seconds_total", "Time that payloads ran at workers."),
		cpu:       counter("idds_worker_payload_cpu_seconds_total", "CPU time of payloads at workers."),
		startup:   counter("idds_worker_payload_startup_seconds_total", "Time until payloads that stay between slices were ready."),
		suspended: counter("idds_worker_suspended_seconds_total", "Time that workers were stopped by their batch system."),
	}
}

// seeWorker notes a report. What a worker had done before we were started was counted by the idds of then.
func (m *Metrics) seeWorker(number uint64, r document.WorkerReport, at time.Time) {
	before, known := m.workers[r.PilotID]
	if known && before.number > number {
		return
	}
	w := worker{
		number: number, site: m.sites.of(r.Site), phase: r.Phase, held: r.Hold != "", slots: max(0, r.Slots), seen: at,
		busy: r.Busy(), silence: r.SilentAfter(m.cfg.WorkerSilence), totals: r.Totals, inHand: map[string]int{},
	}
	for _, in := range r.InHand {
		w.inHand[in.RunID]++
	}
	switch {
	case known:
		m.work.add(w.site, before.totals, r.Totals)
	case number > 0 && r.StartedAt.After(m.started):
		m.work.add(w.site, document.WorkerTotals{}, r.Totals)
	}
	m.workers[r.PilotID] = w
	if len(m.workers) > m.mostWorkers {
		m.forgetWorkers(at)
	}
	if r.Phase != document.WorkerEnded {
		return
	}
	delete(m.workers, r.PilotID)
	if r.Exit != nil && known {
		class, name := failure(r.Exit.Class, r.Exit.Name)
		m.work.ended.WithLabelValues(w.site, class, name).Inc()
	}
}

// forgetWorkers drops those that have been silent for long.
func (m *Metrics) forgetWorkers(now time.Time) {
	maps.DeleteFunc(m.workers, func(_ string, w worker) bool { return now.Sub(w.seen) > max(forget, w.silence) })
	m.mostWorkers = max(manyWorkers, 2*len(m.workers))
}

// add counts what has come since the report before. A pilot whose sums shrink is another one under the same name.
func (m workMetrics) add(site string, before, now document.WorkerTotals) {
	for outcome, n := range map[string]int{"done": now.Done - before.Done, "failed": now.Failed - before.Failed, "released": now.Released - before.Released} {
		m.slices.WithLabelValues(site, outcome).Add(float64(max(0, n)))
	}
	for counter, seconds := range map[*prometheus.CounterVec]float64{
		m.wall: now.WallSeconds - before.WallSeconds, m.cpu: now.CPUSeconds - before.CPUSeconds,
		m.startup: now.StartupSeconds - before.StartupSeconds, m.suspended: now.SuspendedSeconds - before.SuspendedSeconds,
	} {
		at := counter.WithLabelValues(site)
		if seconds > 0 && seconds < mostSeconds { // nor NaN
			at.Add(seconds)
		}
	}
}

// mostSeconds is more than any slot can have had between two reports: one broken clock spoils no sum.
const mostSeconds = 1e8
