package books

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/latency"
	"tfpilot/internal/ledger"
	"tfpilot/internal/whereabouts"
)

// Config is what the books are told by.
type Config struct {
	// Measured is what runs have taken.
	Measured *latency.Measured
	// WorkerSilence is after how long without a report a worker counts as gone that does not say how often it reports.
	WorkerSilence time.Duration
	// RetryOwner is whose duty it is to send attempts again, as ledger.Duties has it.
	RetryOwner string
	// Now is the time by which it is said who is alive.
	Now func() time.Time
}

// Books are what a store has in it, as documents.
type Books struct {
	store ledger.Store
	cfg   Config
}

// New makes the books of a store.
func New(store ledger.Store, cfg Config) *Books { return &Books{store, cfg} }

// Workers are all pilots that ever reported, with whether they are alive.
func (b *Books) Workers(ctx context.Context, namespace string) ([]document.Worker, error) {
	list, err := b.store.Workers(ctx, namespace)
	b.SayAlive(list)
	return list, err
}

// FindWorkers are the pilots of a filter, with whether they are alive.
func (b *Books) FindWorkers(ctx context.Context, f ledger.WorkerFilter) ([]document.Worker, error) {
	list, err := b.store.FindWorkers(ctx, f)
	b.SayAlive(list)
	return list, err
}

// WorkersSince are the pilots that have reported since a time, with whether they are alive. They are read in pages.
func (b *Books) WorkersSince(ctx context.Context, namespace string, since time.Time) ([]document.Worker, error) {
	var out []document.Worker
	for f := (ledger.WorkerFilter{Namespace: namespace, SeenSince: since, Limit: ledger.PageSize}); ; {
		page, err := b.FindWorkers(ctx, f)
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); len(page) < f.Limit {
			return out, nil
		}
		last := &page[len(page)-1]
		f.AfterNamespace, f.AfterPilot = ledger.Text(last.Namespace), ledger.Text(last.PilotID)
	}
}

// SayAlive says of each whether it is.
func (b *Books) SayAlive(list []document.Worker) {
	now := b.cfg.Now()
	for i := range list {
		list[i].Alive = list[i].Phase != document.WorkerEnded && now.Sub(list[i].LastSeen) < list[i].SilentAfter(b.cfg.WorkerSilence)
	}
}

// Records are slices as the world sees them, each with the place where it is.
func (b *Books) Records(ctx context.Context, namespace string, list []ledger.Slice) ([]document.Slice, error) {
	var workers []document.Worker
	if whereabouts.AskWorkers(list) {
		var err error
		if workers, err = b.Workers(ctx, namespace); err != nil {
			return nil, err
		}
	}
	return whereabouts.Records(list, workers, b.cfg.RetryOwner), nil
}

// History is a slice with all that is known of it, nil when there is none.
func (b *Books) History(ctx context.Context, k ledger.Key) (*document.SliceHistory, error) {
	sl, err := b.store.Slice(ctx, k)
	if sl == nil || err != nil {
		return nil, err
	}
	var workers []document.Worker
	if !sl.State.Final() {
		if workers, err = b.Workers(ctx, k.Namespace); err != nil {
			return nil, err
		}
	}
	record := whereabouts.Records([]ledger.Slice{*sl}, workers, b.cfg.RetryOwner)[0]
	return whereabouts.History(sl, record, workers), nil
}

// RunDocument is a run as the world sees it.
func (b *Books) RunDocument(ctx context.Context, r ledger.Run) (document.Run, error) {
	latency, err := b.cfg.Measured.Of(ctx, &r)
	if err != nil {
		return document.Run{}, err
	}
	return document.Run{
		RunID: r.RunID.String(), Namespace: r.Namespace, State: r.State, OpenedAt: r.OpenedAt, EndedAt: r.EndedAt, ClosedAt: r.ClosedAt,
		TotalSlices: r.TotalSlices, Workers: r.Workers, Counts: r.Counts, Unmerged: r.Unmerged,
		Slices: document.SliceCounts{
			Published: r.Published, Done: r.Done, Failed: r.Failed, Outstanding: r.Published - r.Done - r.Failed,
			Retried: r.Retried, Absorbed: r.Absorbed, Corrected: r.Corrected, Unmatched: r.Unmatched, Unexplained: r.Unexplained,
			UnexplainedBefore: r.UnexplainedBefore,
		},
		Latency: latency, Detector: r.Detector,
	}, nil
}
