package scaler

import (
	"fmt"
	"slices"

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

// warm is a run that stands for whichever comes: its workers are kept between runs. It does not grow with them: who has found a run
// keeps its place, and counts among the workers of that run.
func (s *Scaler) warm() demand.Run {
	return demand.Run{Namespace: s.namespace, State: document.RunOpen, Request: demand.Request{Workers: s.policy.Warm, Fixed: true}}
}

// reduce takes from what runs want the workers that are kept warm and serve them, or will when their first slice comes.
func reduce(all []document.RunDemand, workers []document.Worker) {
	var sites []string
	spare := map[string]int{} // by site
	bound := map[string]map[string]int{}
	for i := range workers {
		w := &workers[i]
		if !w.Alive || !w.AnyRun || w.Phase == document.WorkerDraining {
			continue
		}
		if !slices.Contains(sites, w.Site) {
			sites = append(sites, w.Site)
		}
		switch w.RunID {
		case "":
			spare[w.Site]++
		default:
			if bound[w.RunID] == nil {
				bound[w.RunID] = map[string]int{}
			}
			bound[w.RunID][w.Site]++
		}
	}
	for i := range all {
		d := &all[i]
		if d.RunID == "" {
			continue
		}
		serve := 0
		take := func(site string, most int) int {
			n := min(most, bound[d.RunID][site]+spare[site])
			spare[site] -= max(0, n-bound[d.RunID][site])
			serve += n
			return n
		}
		for j := range d.Sites {
			d.Sites[j].Wanted -= take(d.Sites[j].Site, d.Sites[j].Wanted)
		}
		for _, site := range sites {
			if len(d.Sites) == 0 {
				take(site, d.Wanted-serve)
			}
		}
		if serve > 0 {
			d.Reason = fmt.Sprintf("%s; of %d, %d are kept for whichever run comes and serve this one", d.Reason, d.Wanted, serve)
			d.Wanted -= serve
			d.Reasons = append(d.Reasons, fmt.Sprintf("%d more are kept for whichever run comes, and serve this one.", serve))
		}
	}
}
