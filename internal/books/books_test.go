package books_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tfpilot/internal/books"
	"tfpilot/internal/document"
	"tfpilot/internal/latency"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

var now = time.Date(2026, 1, 18, 12, 0, 0, 0, time.UTC)

// shelf is a store of one run and of workers in the order of their names; what else it is asked for it does not have.
type shelf struct {
	ledger.Store

	run     ledger.Run
	counted map[ledger.SliceState]int
	workers []document.Worker
}

func (s shelf) Tally(context.Context, string, string) (*ledger.Run, map[ledger.SliceState]int, error) {
	return &s.run, s.counted, nil
}

func (shelf) Slices(context.Context, ledger.Filter) ([]ledger.Slice, error) { return nil, nil }

func (s shelf) FindWorkers(_ context.Context, f ledger.WorkerFilter) (page []document.Worker, err error) {
	for _, w := range s.workers {
		if w.PilotID > f.AfterPilot && len(page) < f.Limit {
			page = append(page, w)
		}
	}
	return page, nil
}

func of(s shelf) *books.Books {
	return books.New(s, books.Config{Measured: latency.New(s), WorkerSilence: time.Minute, Now: func() time.Time { return now }})
}

func TestARunAddsUpOnlyIfItsSlicesAreWhatItsCountersSay(t *testing.T) {
	t.Parallel()
	r := ledger.Run{RunID: message.Run("1"), Namespace: "test", State: document.RunClosed, Latency: &document.RunLatency{}}
	r.Published, r.Done, r.Failed = 4, 3, 1
	for done, ok := range map[int]bool{3: true, 2: false} {
		check, err := of(shelf{run: r, counted: map[ledger.SliceState]int{ledger.Done: done, ledger.Failed: 1}}).Check(t.Context(), r)
		if err != nil || check.OK != ok || (len(check.Problems) == 0) != ok {
			t.Errorf("%d done: %+v, %v", done, check, err)
		}
	}
}

func TestAllWorkersAreReadHoweverMany(t *testing.T) {
	t.Parallel()
	s := shelf{}
	for i := range 2*ledger.PageSize + 1 {
		w := document.Worker{LastSeen: now.Add(-time.Duration(i%2) * time.Hour)}
		w.PilotID = fmt.Sprintf("p%08d", i)
		s.workers = append(s.workers, w)
	}
	list, err := of(s).WorkersSince(t.Context(), "test", now.Add(-2*time.Hour))
	if err != nil || len(list) != len(s.workers) {
		t.Fatalf("%d workers, %v", len(list), err)
	}
	for i := range list {
		if list[i].Alive != (i%2 == 0) {
			t.Fatalf("worker %d, seen at %s, is alive: %t", i, list[i].LastSeen, list[i].Alive)
		}
	}
}
