package live

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/message"
)

// forgotten is after how long a worker's silence is history.
const forgotten = 10 * time.Minute

// workers are those that live, or fell silent a short while ago, by their ids.
type workers map[string]message.WorkerDocument

// note notes a report. Reports of one worker may be told in another order than they came.
func (w workers) note(r message.WorkerReport, at time.Time) {
	if w[r.PilotID].LastSeen.After(at) {
		return
	}
	// What is not for a board need not be kept of thousands.
	r.Exit = nil
	if r.Slot != nil {
		r.Slot = &message.SlotDocument{Cores: r.Slot.Cores}
	}
	w[r.PilotID] = message.WorkerDocument{WorkerReport: r, LastSeen: at}
}

// forget drops those that have ended, and those whose silence is history.
func (w workers) forget(now time.Time) {
	maps.DeleteFunc(w, func(_ string, d message.WorkerDocument) bool {
		return d.Phase == message.WorkerEnded || now.Sub(d.LastSeen) > forgotten
	})
}

// siteOf is where a worker runs.
func siteOf(w *message.WorkerDocument) string { return cmp.Or(w.Site, w.Hostname, "unknown") }

// sites are the workers by where they run, and how many slices of each run they have.
func sites(list []message.WorkerDocument) (out []message.BoardSite, held map[string]int) {
	type sum struct {
		message.BoardSite

		used, had float64 // seconds
	}
	sums := map[string]*sum{}
	held = map[string]int{}
	for i := range list {
		w := &list[i]
		s := sums[siteOf(w)]
		if s == nil {
			s = &sum{BoardSite: message.BoardSite{Site: siteOf(w)}}
			sums[s.Site] = s
		}
		if !w.Alive {
			s.Silent++
			continue
		}
		switch w.Phase {
		case message.WorkerStarting:
			s.Starting++
		case message.WorkerRunning:
			s.Running++
		case message.WorkerDraining:
			s.Draining++
		case message.WorkerEnded:
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
	out = make([]message.BoardSite, 0, len(sums))
	for _, s := range sums {
		if s.had > 0 {
			share := rounded(min(1, s.used/s.had))
			s.Efficiency = &share
		}
		out = append(out, s.BoardSite)
	}
	slices.SortFunc(out, func(a, b message.BoardSite) int { return strings.Compare(a.Site, b.Site) })
	return out, held
}
