package idds

import (
	"context"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

const (
	// demandEvery is how often it is looked at who comes, waits and works, so that whoever asks finds rates.
	demandEvery = 2 * time.Second
	// demandFor is for how long a worker that has ended or fell silent is looked at.
	demandFor = 10 * time.Minute
	// demandOver is how many runs that are over are named as wanting none: there may be any number of them.
	demandOver = 100
)

// Demand is how many workers each run wants now, and why: those that are not over, and the last of those that are.
func (s *Service) Demand(ctx context.Context) (document.Demand, error) {
	out := document.Demand{At: s.now().UTC(), Demands: []document.RunDemand{}}
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return out, err
	}
	over, err := s.store.FindRuns(ctx, ledger.RunFilter{
		Namespace: s.cfg.Namespace, AfterNamespace: s.cfg.Namespace, States: []document.RunState{document.RunClosed}, Descending: true, Limit: demandOver,
	})
	if err != nil {
		return out, err
	}
	for i := range over {
		same := func(r ledger.Run) bool { return r.RunID.Same(over[i].RunID) } // also one that has closed since it was asked for
		if !over[i].Open() && !slices.ContainsFunc(runs, same) {
			runs = append(runs, over[i])
		}
	}
	slices.SortFunc(runs, func(a, b ledger.Run) int { return strings.Compare(a.RunID.String(), b.RunID.String()) })
	demands, err := s.scale(ctx, runs)
	out.Demands = append(out.Demands, demands...)
	return out, err
}

// DemandOf is the same for the harvester of a site, of which its runs have their parts from now on. It lets us have no more than so
// many workers, any number when 0.
func (s *Service) DemandOf(ctx context.Context, site string, most int) (document.Demand, error) {
	s.scaler.Ask(site, most, s.now())
	return s.Demand(ctx)
}

// DemandCourse is how the demand of a run that is not over, and its workers, went since the service was started.
func (s *Service) DemandCourse(run string) []document.DemandPoint { return s.scaler.Trace(run) }

// DemandLately is that of the runs that are not over as it was when somebody looked last, which is seconds ago: who asks often asks the
// store nothing.
func (s *Service) DemandLately(ctx context.Context) (document.Demand, error) {
	if d := s.demanded.Load(); d != nil && s.now().Sub(d.At) < 5*demandEvery {
		return *d, nil
	}
	err := s.watchDemand(ctx) // or it is not looked at now
	if d := s.demanded.Load(); err == nil && d != nil {
		return *d, nil
	}
	return document.Demand{}, err
}

// watchDemand looks at the runs that are not over.
func (s *Service) watchDemand(ctx context.Context) error {
	runs, err := s.store.OpenRuns(ctx, s.cfg.Namespace)
	if err != nil {
		return err
	}
	demands, err := s.scale(ctx, runs)
	if err == nil {
		s.demanded.Store(&document.Demand{At: s.now().UTC(), Demands: demands})
	}
	return err
}

func (s *Service) scale(ctx context.Context, runs []ledger.Run) ([]document.RunDemand, error) {
	workers, err := s.WorkersSince(ctx, s.cfg.Namespace, s.now().Add(-demandFor))
	if err != nil {
		return nil, err
	}
	return s.scaler.Decide(runs, workers, s.now()), nil
}
