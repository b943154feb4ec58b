package live

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
)

// forgotten is after how long a worker's silence is history.
const forgotten = 10 * time.Minute

// workers are those that live, or fell silent a short while ago, by their ids.
type workers map[string]document.Worker

// note notes a report. Reports of one worker may be told in another order than they came.
func (w workers) note(r document.WorkerReport, at time.Time) {
	if w[r.PilotID].LastSeen.After(at) {
		return
	}
	// What is not for a board need not be kept of thousands.
	r.Exit = nil
	if r.Slot != nil {
		r.Slot = &document.Slot{Cores: r.Slot.Cores}
	}
	w[r.PilotID] = document.Worker{WorkerReport: r, LastSeen: at}
}

// forget drops those that have ended, and those whose silence is history.
func (w workers) forget(now time.Time) {
	maps.DeleteFunc(w, func(_ string, d document.Worker) bool {
		return d.Phase == document.WorkerEnded || now.Sub(d.LastSeen) > forgotten
	})
}

// siteOf is where a worker runs.
func siteOf(w *document.Worker) string { return cmp.Or(w.Site, w.Hostname, "unknown") }

// sites are the workers by where they run, and how many slices of each run they have.
func sites(list []document.Worker) (out []document.BoardSite, held map[string]int) {
	type sum struct {
		document.BoardSite

		used, had float64 // seconds
	}
	sums := map[string]*sum{}
	held = map[string]int{}
	for i := range list {
		w := &list[i]
		s := sums[siteOf(w)]
		if s == nil {
			s = &sum{BoardSite: document.BoardSite{Site: siteOf(w)}}
			sums[s.Site] = s
		}
		if !w.Alive {
			s.Silent++
			continue
		}
		switch w.Phase {
		case document.WorkerStarting:
			s.Starting++
		case document.WorkerRunning:
			s.Running++
		case document.WorkerDraining:
			s.Draining++
		case document.WorkerEnded:
		}
		if w.Hold != "" {
			s.Held++
		}
		s.Slots += w.Slots
		s.Busy += w.Busy()
		for _, in := range w.InHand {
			held[in.RunID]++
		}
		used, had := w.SlotTime()
		s.used, s.had = s.used+used, s.had+had
	}
	out = make([]document.BoardSite, 0, len(sums))
	for _, s := range sums {
		if s.had > 0 {
			share := rounded(min(1, s.used/s.had))
			s.Efficiency = &share
		}
		out = append(out, s.BoardSite)
	}
	slices.SortFunc(out, func(a, b document.BoardSite) int { return strings.Compare(a.Site, b.Site) })
	return out, held
}
