package scaler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tfpilot/internal/demand"
	"tfpilot/internal/document"
)

// reserve is a run that stands for whichever comes: its workers are kept between runs. It does not grow with them: who has found a run
// keeps its place, and counts among the workers of that run.
func (s *Scaler) reserve(workers []document.Worker) (demand.Run, []*document.Worker) {
	var crew []*document.Worker
	for i := range workers {
		if workers[i].AnyRun {
			crew = append(crew, &workers[i])
		}
	}
	return demand.Run{
		Namespace: s.namespace, State: document.RunOpen, Request: demand.Request{Workers: s.policy.Warm, Fixed: true}, Workers: s.at(crew),
	}, crew
}

// keep chooses who stays between runs, and who of those without a run is one too many. Who has stayed stays; the others are the older ones,
// which have proved themselves.
func (s *Scaler) keep(d demand.Decision, crew []*document.Worker, now time.Time, stays, leaving map[string]bool) {
	slices.SortStableFunc(crew, func(a, b *document.Worker) int {
		return cmp.Or(-compare(s.stays[a.PilotID], s.stays[b.PilotID]), a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.PilotID, b.PilotID))
	})
	for _, share := range d.Sites {
		kept := 0
		for _, w := range crew {
			switch {
			case w.Site != share.Site || w.WorkerID == "" || !w.Alive || w.Phase == document.WorkerDraining:
			case s.leaving[w.PilotID]: // it may have heard of it
				leaving[w.PilotID] = true
			case kept < share.Wanted:
				kept++
				stays[w.PilotID] = true
			case w.RunID == "" && !young(w, now):
				leaving[w.PilotID] = true
			}
		}
	}
}

// compare is 1 when a alone is true.
func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// sayReserve says what is wanted between runs.
func (s *Scaler) sayReserve(d *document.RunDemand) {
	d.Facts = nil
	d.Reason = fmt.Sprintf("--demand-warm keeps %s ready between runs", counted(s.policy.Warm, "worker"))
	d.Reasons = []string{d.Reason + ": who has served a run stays for the next one."}
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
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
			of := d.Wanted
			d.Wanted -= serve
			d.Reason = fmt.Sprintf("%s; of %d, %d are kept between runs and serve this one", d.Reason, of, serve)
			d.Reasons = append(d.Reasons, fmt.Sprintf("%s kept between runs by --demand-warm serve this one: %d more are to be started for it.", counted(serve, "worker"), d.Wanted))
		}
	}
}
