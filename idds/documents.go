package idds

import (
	"context"
	"fmt"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// Workers are all pilots that ever reported, with whether they are alive.
func (s *Service) Workers(ctx context.Context, namespace string) ([]message.WorkerDocument, error) {
	list, err := s.store.Workers(ctx, namespace)
	s.sayAlive(list)
	return list, err
}

// FindWorkers are the pilots of a filter, with whether they are alive.
func (s *Service) FindWorkers(ctx context.Context, f ledger.WorkerFilter) ([]message.WorkerDocument, error) {
	list, err := s.store.FindWorkers(ctx, f)
	s.sayAlive(list)
	return list, err
}

func (s *Service) sayAlive(list []message.WorkerDocument) {
	now := s.now()
	for i := range list {
		list[i].Alive = list[i].Phase != message.WorkerEnded && now.Sub(list[i].LastSeen) < s.silence(list[i])
	}
}

// silence is after how long without a report a worker counts as gone: three of its heart-beats.
func (s *Service) silence(w message.WorkerDocument) time.Duration {
	if w.HeartbeatSeconds <= 0 {
		return s.cfg.WorkerSilence
	}
	return time.Duration(3 * w.HeartbeatSeconds * float64(time.Second))
}

// Demand is how many workers each run wants: what it asked for while it is open or ending with slices left, else none.
func (s *Service) Demand(ctx context.Context) (message.DemandDocument, error) {
	out := message.DemandDocument{At: s.now().UTC(), Demands: []message.RunDemand{}}
	runs, err := s.store.Runs(ctx, s.cfg.Namespace)
	if err != nil {
		return out, err
	}
	for _, r := range runs {
		d := message.RunDemand{RunID: r.RunID.String(), Namespace: r.Namespace, State: r.State}
		left := r.Outstanding()
		switch {
		case r.State == message.RunClosed:
			d.Reason = "the run is closed"
		case r.State == message.RunEnding && left == 0 && (r.TotalSlices == nil || r.Published >= *r.TotalSlices):
			d.Reason = "the run has ended and all its slices are final"
		case r.DemandClosed && left == 0:
			d.Reason = "the workflow task is closed and all slices are final"
		case r.Workers == 0 && s.cfg.DemandFrom == ledger.WorkflowTask:
			d.Reason = "no " + message.TypeCreateWorkflowTask + " has asked for workers"
		default:
			d.Wanted, d.Reason = r.Workers, fmt.Sprintf("the run asked for %d workers and %d slices are not final", r.Workers, left)
		}
		out.Demands = append(out.Demands, d)
	}
	return out, nil
}

// RunDocument is a run as the world sees it.
func (s *Service) RunDocument(ctx context.Context, r ledger.Run) (message.RunDocument, error) {
	latency, err := s.latency(ctx, &r)
	if err != nil {
		return message.RunDocument{}, err
	}
	return message.RunDocument{
		RunID: r.RunID.String(), Namespace: r.Namespace, State: r.State, OpenedAt: r.OpenedAt, EndedAt: r.EndedAt, ClosedAt: r.ClosedAt,
		TotalSlices: r.TotalSlices, Workers: r.Workers, Counts: r.Counts, Unmerged: r.Unmerged,
		Slices: message.SliceCounts{
			Published: r.Published, Done: r.Done, Failed: r.Failed, Outstanding: r.Published - r.Done - r.Failed,
			Retried: r.Retried, Absorbed: r.Absorbed, Corrected: r.Corrected, Unmatched: r.Unmatched, Unexplained: r.Unexplained,
			UnexplainedBefore: r.UnexplainedBefore,
		},
		Latency: latency,
	}, nil
}

// quantiles of a sorted sample.
func quantiles(sorted []float64) message.Quantiles {
	n := len(sorted)
	if n == 0 {
		return message.Quantiles{}
	}
	at := func(q float64) float64 { return sorted[min(n-1, int(q*float64(n)))] }
	return message.Quantiles{N: n, P50: at(0.5), P95: at(0.95), Max: sorted[n-1]}
}
