// Package latency measures what runs have taken, from the detector to the result. It looks at every sample, of which a run may have a
// million, and keeps what it found: whoever asks does not wait.
package latency

import (
	"context"
	"sync"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// large is how many slices a run has whose first measurement nobody waits for: until it is there, soon after a start, it has no samples.
const large = 10_000

// dear is how long a look at all samples of a run may take before its answer is kept for a while.
const dear = 10 * time.Millisecond

// Measured are the latencies of runs as they were seen last. That of a closed run is kept with the run.
type Measured struct {
	store ledger.Store

	mu sync.Mutex
	of map[runKey]measurement
}

// New measures the runs of a store.
func New(store ledger.Store) *Measured {
	return &Measured{store: store, of: map[runKey]measurement{}}
}

type runKey struct{ namespace, run string }

func keyOf(r *ledger.Run) runKey { return runKey{r.Namespace, r.RunID.String()} }

type measurement struct {
	of      ledger.Samples // of the run as it was
	latency document.RunLatency
	took    time.Duration
}

// Of is what a run has taken. That of a large run may be some moments old.
func (m *Measured) Of(ctx context.Context, r *ledger.Run) (document.RunLatency, error) {
	if r.Latency != nil {
		return *r.Latency, nil
	}
	if r.State == document.RunUnannounced { // of which there may be any number
		return document.RunLatency{}, nil
	}
	last, known := m.last(r)
	if known && (last.of == r.Sampled() || last.took > dear) || !known && r.Done > large {
		return last.latency, nil
	}
	return m.Measure(ctx, r)
}

func (m *Measured) last(r *ledger.Run) (measurement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, known := m.of[keyOf(r)]
	return last, known
}

// Changed reports whether a run is not as it was when it was measured.
func (m *Measured) Changed(r *ledger.Run) bool {
	last, known := m.last(r)
	return !known || last.of != r.Sampled()
}

// Measure looks at all samples of a run.
func (m *Measured) Measure(ctx context.Context, r *ledger.Run) (document.RunLatency, error) {
	began := time.Now()
	l, err := m.store.Latencies(ctx, r.Namespace, r.RunID.String())
	if err != nil {
		return document.RunLatency{}, err
	}
	now := measurement{
		of: r.Sampled(), took: time.Since(began),
		latency: document.RunLatency{SliceResult: quantiles(l.Slice), STFComplete: quantiles(l.STF)},
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of[keyOf(r)] = now
	return now.latency, nil
}

// Forget drops what is kept of a run.
func (m *Measured) Forget(r *ledger.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, keyOf(r))
}

// quantiles of a sorted sample.
func quantiles(sorted []float64) document.Quantiles {
	n := len(sorted)
	if n == 0 {
		return document.Quantiles{}
	}
	at := func(q float64) float64 { return sorted[min(n-1, int(q*float64(n)))] }
	return document.Quantiles{N: n, P50: at(0.5), P95: at(0.95), Max: sorted[n-1]}
}
