package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics are of the REST interface and the page.
type requestMetrics struct {
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newRequestMetrics(r prometheus.Registerer) requestMetrics {
	m := requestMetrics{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idds_http_requests_total", Help: "Requests by what was asked for and the class of the answer's status.",
		}, []string{"operation", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "idds_http_request_duration_seconds", Help: "Time until a request was answered; not of answers that flow for as long as somebody listens.",
			Buckets: []float64{.005, .01, .025, .05, .1, .2, .5, 1, 5, 30},
		}, []string{"operation"}),
	}
	r.MustRegister(m.count, m.took)
	return m
}

// Request counts one. The operation is the pattern that it fell under, such as "GET /v1/runs/{run}"; empty when that was none.
func (m *Metrics) Request(operation string, status int, took time.Duration, flowed bool) {
	if operation == "" || operation == "/" {
		operation = other
	}
	m.requests.count.WithLabelValues(operation, "5xx") // 0 before the first: Prometheus sees no rise of what begins with it
	m.requests.count.WithLabelValues(operation, fmt.Sprintf("%dxx", status/100)).Inc()
	if !flowed {
		m.requests.took.WithLabelValues(operation).Observe(took.Seconds())
	}
}
