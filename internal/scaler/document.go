package scaler

import (
	"tfpilot/internal/demand"
	"tfpilot/internal/document"
)

// document is a decision as the world sees it.
func (s *Scaler) document(r *demand.Run, d demand.Decision) document.RunDemand {
	out := document.RunDemand{RunID: r.ID, Namespace: r.Namespace, State: r.State, Wanted: d.Wanted, Reason: d.Reason, Reasons: d.Reasons}
	if r.State == document.RunClosed {
		return out
	}
	for _, share := range d.Sites {
		out.Sites = append(out.Sites, document.SiteDemand{Site: share.Site, Wanted: share.Wanted})
	}
	out.Facts = &document.DemandFacts{
		Asked: r.Request.Workers, SlicesPerSecond: r.Arrived.PerSecond, Waiting: r.Waiting, Running: r.Running, GoalSeconds: s.policy.Goal.Seconds(),
		ProcessingSeconds: r.Processing.Mean.Seconds(), ProcessingP95Seconds: r.Processing.High.Seconds(), StartupSeconds: r.Startup.Median.Seconds(),
		Workers: []document.DemandWorkers{},
	}
	for _, w := range r.Workers {
		out.Facts.Workers = append(out.Facts.Workers, document.DemandWorkers{
			Site: w.Site, Starting: w.Starting, Ready: w.Ready, Draining: w.Draining, Silent: w.Silent, Slots: w.Slots,
		})
	}
	return out
}
