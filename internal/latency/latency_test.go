package latency_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/document"
	"tfpilot/internal/latency"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// samples is a store with those of one run, which counts how often it was asked.
type samples struct {
	ledger.Store

	of    ledger.Latencies
	err   error
	asked int
}

func (s *samples) Latencies(context.Context, string, string) (ledger.Latencies, error) {
	s.asked++
	return s.of, s.err
}

func aRun(done int) *ledger.Run {
	return &ledger.Run{Namespace: "n", RunID: message.Run("7"), Published: done, Done: done}
}

// upTo are the samples 1, 2 ... n.
func upTo(n int) (s []float64) {
	for i := range n {
		s = append(s, float64(i+1))
	}
	return s
}

func TestQuantilesAreThoseOfTheSamples(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]document.Quantiles{
		0:   {},
		1:   {N: 1, P50: 1, P95: 1, Max: 1},
		2:   {N: 2, P50: 2, P95: 2, Max: 2},
		100: {N: 100, P50: 51, P95: 96, Max: 100},
	} {
		got, err := latency.New(&samples{of: ledger.Latencies{Slice: upTo(n), STF: slices.Repeat([]float64{3}, n)}}).Of(t.Context(), aRun(n))
		if diff := cmp.Diff(want, got.SliceResult); diff != "" || err != nil || got.STFComplete.N != n {
			t.Errorf("%d samples: %v, %+v%s", n, err, got.STFComplete, diff)
		}
	}
}

func TestARunIsLookedAtAgainOnlyWhenItHasChanged(t *testing.T) {
	t.Parallel()
	s := &samples{of: ledger.Latencies{Slice: upTo(3)}}
	m, r := latency.New(s), aRun(3)
	if !m.Changed(r) {
		t.Error("nothing has been measured, and nothing has changed")
	}
	for range 3 {
		if l, err := m.Of(t.Context(), r); err != nil || l.SliceResult.Max != 3 {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if s.asked != 1 || m.Changed(r) {
		t.Errorf("asked %d times, changed %v", s.asked, m.Changed(r))
	}
	s.of, r = ledger.Latencies{Slice: upTo(4)}, aRun(4)
	if !m.Changed(r) {
		t.Error("one more is done, and nothing has changed")
	}
	if l, err := m.Measure(t.Context(), r); err != nil || l.SliceResult.Max != 4 || m.Changed(r) {
		t.Errorf("%+v, %v", l, err)
	}
	m.Forget(r)
	if !m.Changed(r) {
		t.Error("what was forgotten is known")
	}
}

func TestNobodyWaitsForTheFirstLookAtALargeRun(t *testing.T) {
	t.Parallel()
	s := &samples{of: ledger.Latencies{Slice: upTo(20_000)}}
	m, r := latency.New(s), aRun(20_000)
	if l, err := m.Of(t.Context(), r); err != nil || l.SliceResult.N != 0 || s.asked != 0 {
		t.Errorf("%+v, %v, asked %d times", l, err, s.asked)
	}
	if _, err := m.Measure(t.Context(), r); err != nil { // as the service does beside
		t.Error(err)
	}
	if l, err := m.Of(t.Context(), r); err != nil || l.SliceResult.N != 20_000 || s.asked != 1 {
		t.Errorf("%+v, %v, asked %d times", l, err, s.asked)
	}
}

func TestAClosedRunCarriesItsOwn(t *testing.T) {
	t.Parallel()
	s, r := &samples{}, aRun(3)
	r.Latency = &document.RunLatency{SliceResult: document.Quantiles{N: 3}}
	if l, err := latency.New(s).Of(t.Context(), r); err != nil || l.SliceResult.N != 3 || s.asked != 0 {
		t.Errorf("%+v, %v, asked %d times", l, err, s.asked)
	}
}

func TestAStoreThatIsAwayIsSaidAndAskedAgain(t *testing.T) {
	t.Parallel()
	s := &samples{err: ledger.ErrUnavailable, of: ledger.Latencies{Slice: upTo(1)}}
	m := latency.New(s)
	if _, err := m.Of(t.Context(), aRun(1)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Error(err)
	}
	s.err = nil
	if l, err := m.Of(t.Context(), aRun(1)); err != nil || l.SliceResult.N != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}
