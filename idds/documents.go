package idds

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"tfpilot/internal/message"
)

// Workers are all pilots that ever reported, with whether they are alive.
func (s *Service) Workers(ctx context.Context, namespace string) ([]message.WorkerDocument, error) {
	list, err := s.store.Workers(ctx, namespace)
	now := s.now()
	for i := range list {
		list[i].Alive = list[i].Phase != message.WorkerEnded && now.Sub(list[i].LastSeen) < s.silence(list[i])
	}
	return list, err
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
		left := r.outstanding()
		switch {
		case r.State == message.RunClosed:
			d.Reason = "the run is closed"
		case r.State == message.RunEnding && left == 0 && (r.TotalSlices == nil || r.Published >= *r.TotalSlices):
			d.Reason = "the run has ended and all its slices are final"
		default:
			d.Wanted, d.Reason = r.Workers, fmt.Sprintf("the run asked for %d workers and %d slices are not final", r.Workers, left)
		}
		out.Demands = append(out.Demands, d)
	}
	return out, nil
}

// RunDocument is a run as the world sees it.
func (s *Service) RunDocument(ctx context.Context, r Run) (message.RunDocument, error) {
	l, err := s.store.Latencies(ctx, r.Namespace, r.RunID.String())
	if err != nil {
		return message.RunDocument{}, err
	}
	return message.RunDocument{
		RunID: r.RunID.String(), Namespace: r.Namespace, State: r.State, OpenedAt: r.OpenedAt, EndedAt: r.EndedAt, ClosedAt: r.ClosedAt,
		TotalSlices: r.TotalSlices, Workers: r.Workers, Counts: r.Counts,
		Slices: message.SliceCounts{
			Published: r.Published, Done: r.Done, Failed: r.Failed, Outstanding: r.Published - r.Done - r.Failed,
			Retried: r.Retried, Absorbed: r.Absorbed, Corrected: r.Corrected, Unmatched: r.Unmatched, Unexplained: r.Unexplained,
		},
		Latency: message.RunLatency{SliceResult: quantiles(l.Slice), STFComplete: quantiles(l.STF)},
	}, nil
}

// Check is the accounting of a run: it adds up only if the slices in the store are what the run's counters say.
func (s *Service) Check(ctx context.Context, r Run) (message.RunCheck, error) {
	doc, err := s.RunDocument(ctx, r)
	if err != nil {
		return message.RunCheck{}, err
	}
	out := message.RunCheck{RunDocument: doc, Problems: []string{}, Outstanding: []message.SliceRecord{}}
	counted, err := s.store.Tally(ctx, r.Namespace, r.RunID.String())
	if err != nil {
		return out, err
	}
	workers, err := s.Workers(ctx, r.Namespace)
	if err != nil {
		return out, err
	}
	open := Filter{Namespace: r.Namespace, Run: r.RunID.String(), States: []SliceState{Outstanding, Waiting}, Limit: math.MaxInt32}
	list, err := s.store.Slices(ctx, open)
	if err != nil {
		return out, err
	}
	for i := range list {
		out.Outstanding = append(out.Outstanding, Record(&list[i], workers))
	}
	c := doc.Slices
	problem := func(bad bool, format string, args ...any) {
		if bad {
			out.Problems = append(out.Problems, fmt.Sprintf(format, args...))
		}
	}
	problem(counted[Done] != c.Done || counted[Failed] != c.Failed, "counters say done %d, failed %d; the slices say %d, %d",
		c.Done, c.Failed, counted[Done], counted[Failed])
	problem(counted[Outstanding]+counted[Waiting] != c.Outstanding, "%d slices are outstanding, the counters say %d",
		counted[Outstanding]+counted[Waiting], c.Outstanding)
	problem(doc.TotalSlices != nil && *doc.TotalSlices != c.Published, "the producer announced %d slices, %d were seen", deref(doc.TotalSlices), c.Published)
	problem(c.Unmatched > 0, "%d results fit no slice", c.Unmatched)
	problem(c.Unexplained > 0, "%d results came twice without any fault", c.Unexplained)
	problem(doc.State == message.RunClosed && c.Outstanding > 0, "the run is closed with %d slices outstanding", c.Outstanding)
	out.OK = len(out.Problems) == 0
	return out, nil
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// Record is a slice as the world sees it.
func Record(s *Slice, workers []message.WorkerDocument) message.SliceRecord {
	out := message.SliceRecord{
		Identity: s.Key.Identity, Namespace: s.Key.Namespace, RunID: s.Key.Run, Filename: s.Filename, TFFilename: s.TFFilename,
		SliceID: s.SliceID, Start: s.Start, End: s.End, State: string(s.State), Attempt: s.Latest(), CreatedAt: s.CreatedAt,
		FinishedAt: s.FinishedAt, Failure: s.Failure, Attempts: s.Attempts,
	}
	switch s.State {
	case Waiting:
		out.Where = "waits for its next attempt at " + s.RetryAt.Format(time.TimeOnly)
	case Outstanding:
		out.Where = "on the queue, or with a worker that does not report"
		for _, w := range workers {
			if w.Alive && slices.ContainsFunc(w.InHand, func(h message.SliceInHand) bool { return h.Identity == s.Key.Identity }) {
				out.Where = "held by " + w.PilotID
			}
		}
	case Done, Failed:
	}
	return out
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
