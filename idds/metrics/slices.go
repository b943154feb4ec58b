package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tfpilot/internal/commits"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// sliceMetrics are of slices as they come to their end.
type sliceMetrics struct {
	result, data, processing prometheus.Histogram
	failed                   *prometheus.CounterVec
}

// seconds are the buckets of latencies: 10 and 30 are the goals.
var seconds = []float64{.25, .5, 1, 2, 3, 5, 7.5, 10, 15, 20, 25, 30, 45, 60, 120, 300, 900, 3600}

func newSliceMetrics(r prometheus.Registerer) sliceMetrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	m := sliceMetrics{
		result: histogram("idds_slice_result_latency_seconds", "Time from a slice's creation to its winning result.", seconds),
		data:   histogram("idds_data_result_latency_seconds", "Time from data taken (its super time frame complete) to a slice's winning result.", seconds),
		processing: histogram("idds_slice_processing_seconds", "Time that a worker took for a slice, of winning results.",
			[]float64{.01, .025, .05, .1, .25, .5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 900}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idds_attempts_failed_total", Help: "Attempts of slices that failed or were lost, by class and name of the failure.",
		}, []string{"class", "name"}),
	}
	r.MustRegister(m.failed)
	// What has not happened yet is 0: of a counter that begins with the fault, Prometheus would not see the first ones.
	for _, given := range [][2]string{{"infrastructure", "lost"}, {"infrastructure", "run_timeout"}, {"payload", "workers_down"}} { // by the ledger
		m.failed.WithLabelValues(given[:]...)
	}
	for _, f := range exitcode.Table() {
		if f.Class != exitcode.ClassNone { // nobody's fault is no failure
			m.failed.WithLabelValues(string(f.Class), f.Name)
		}
	}
	return m
}

func (m sliceMetrics) hear(s commits.SliceChange) {
	if s.State == ledger.Done && s.Was != ledger.Done {
		m.observe(m.result, s.FinishedAt, s.CreatedAt)
		m.observe(m.data, s.FinishedAt, s.STFAt)
	}
	for i := range s.Attempts {
		a := &s.Attempts[i]
		if !slices.Contains(s.Ended, a.Attempt) {
			continue
		}
		switch {
		case a.State == message.StateDone && s.Was != ledger.Done:
			if a.ProcessingTime >= 0 { // nor NaN
				m.processing.Observe(a.ProcessingTime)
			}
		case a.Failure != nil:
			m.failed.WithLabelValues(failure(a.Failure.Class, a.Failure.Name)).Inc()
		case a.State == "lost":
			m.failed.WithLabelValues("infrastructure", "lost").Inc()
		}
	}
}

// observe notes the time between two points, if both are known. The clocks of two machines may put a result before its slice.
func (m sliceMetrics) observe(h prometheus.Histogram, to, from time.Time) {
	if !from.IsZero() {
		h.Observe(max(0, to.Sub(from).Seconds()))
	}
}
