package idds

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/whereabouts"
)

// Workers are all pilots that ever reported, with whether they are alive.
func (s *Service) Workers(ctx context.Context, namespace string) ([]document.Worker, error) {
	list, err := s.store.Workers(ctx, namespace)
	s.SayAlive(list)
	return list, err
}

// FindWorkers are the pilots of a filter, with whether they are alive.
func (s *Service) FindWorkers(ctx context.Context, f ledger.WorkerFilter) ([]document.Worker, error) {
	list, err := s.store.FindWorkers(ctx, f)
	s.SayAlive(list)
	return list, err
}

// SayAlive says of each whether it is.
func (s *Service) SayAlive(list []document.Worker) {
	now := s.now()
	for i := range list {
		list[i].Alive = list[i].Phase != document.WorkerEnded && now.Sub(list[i].LastSeen) < list[i].SilentAfter(s.cfg.WorkerSilence)
	}
}

// Now is the time by which the service decides.
func (s *Service) Now() time.Time { return s.now().UTC() }

// Records are slices as the world sees them, each with the place where it is.
func (s *Service) Records(ctx context.Context, namespace string, list []ledger.Slice) ([]document.Slice, error) {
	var workers []document.Worker
	if whereabouts.AskWorkers(list) {
		var err error
		if workers, err = s.Workers(ctx, namespace); err != nil {
			return nil, err
		}
	}
	return whereabouts.Records(list, workers, s.cfg.RetryOwner), nil
}

// History is a slice with all that is known of it, nil when there is none.
func (s *Service) History(ctx context.Context, k ledger.Key) (*document.SliceHistory, error) {
	sl, err := s.store.Slice(ctx, k)
	if sl == nil || err != nil {
		return nil, err
	}
	var workers []document.Worker
	if !sl.State.Final() {
		if workers, err = s.Workers(ctx, k.Namespace); err != nil {
			return nil, err
		}
	}
	record := whereabouts.Records([]ledger.Slice{*sl}, workers, s.cfg.RetryOwner)[0]
	return whereabouts.History(sl, record, workers), nil
}

// RunDocument is a run as the world sees it.
func (s *Service) RunDocument(ctx context.Context, r ledger.Run) (document.Run, error) {
	latency, err := s.measured.Of(ctx, &r)
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
