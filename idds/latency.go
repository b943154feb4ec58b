package idds

import (
	"context"
	"sync"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// large is how many slices a run has whose first measurement nobody waits for: until it is there, soon after a start, it has no samples.
const large = 10_000

// dear is how long a look at all samples of a run may take before its answer is kept for a while.
const dear = 10 * time.Millisecond

// measured are the latencies of runs as they were seen last: a run may have a million samples. That of a closed run is kept with
// the run.
type measured struct {
	mu sync.Mutex
	of map[runKey]measurement
}

type runKey struct{ namespace, run string }

type measurement struct {
	of      ledger.Samples // of the run as it was
	latency message.RunLatency
	took    time.Duration
}

// latency is what a run has taken. That of a large run may be some moments old.
func (s *Service) latency(ctx context.Context, r *ledger.Run) (message.RunLatency, error) {
	if r.Latency != nil {
		return *r.Latency, nil
	}
	s.measured.mu.Lock()
	last, known := s.measured.of[runKey{r.Namespace, r.RunID.String()}]
	s.measured.mu.Unlock()
	if known && (last.of == r.Sampled() || last.took > dear) || !known && r.Done > large {
		return last.latency, nil
	}
	return s.measure(ctx, r)
}

// measure looks at all samples of a run.
func (s *Service) measure(ctx context.Context, r *ledger.Run) (message.RunLatency, error) {
	began := time.Now()
	l, err := s.store.Latencies(ctx, r.Namespace, r.RunID.String())
	if err != nil {
		return message.RunLatency{}, err
	}
	m := measurement{
		of: r.Sampled(), took: time.Since(began),
		latency: message.RunLatency{SliceResult: quantiles(l.Slice), STFComplete: quantiles(l.STF)},
	}
	s.measured.mu.Lock()
	defer s.measured.mu.Unlock()
	if s.measured.of == nil {
		s.measured.of = map[runKey]measurement{}
	}
	s.measured.of[runKey{r.Namespace, r.RunID.String()}] = m
	return m.latency, nil
}

// measureRuns looks at the runs that have changed, so that nobody who asks has to wait for it.
func (s *Service) measureRuns(ctx context.Context) error {
	runs, err := s.store.Runs(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		if r.State == message.RunClosed && r.Latency == nil { // closed by an idds that ended then, or by one of before
			if err := s.keepLatency(ctx, r); err != nil {
				return err
			}
			continue
		}
		s.measured.mu.Lock()
		last, known := s.measured.of[runKey{r.Namespace, r.RunID.String()}]
		s.measured.mu.Unlock()
		if r.Latency == nil && (!known || last.of != r.Sampled()) {
			if _, err := s.measure(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepLatency writes what a run has taken into a run that is closed.
func (s *Service) keepLatency(ctx context.Context, r *ledger.Run) error {
	latency, err := s.measure(ctx, r)
	if err != nil {
		return err
	}
	s.measured.mu.Lock()
	delete(s.measured.of, runKey{r.Namespace, r.RunID.String()})
	s.measured.mu.Unlock()
	return s.store.Update(ctx, func(tx ledger.Tx) error { return s.ledger.Measured(tx, r, latency) })
}
