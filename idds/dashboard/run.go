package dashboard

import (
	"fmt"
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/timeline"
)

const (
	// checkedAtOnce is up to how many slices the accounting is checked unasked: all of them are counted, and those outstanding looked up.
	checkedAtOnce, locatedAtOnce = 50_000, 1000
)

type runPage struct {
	Run      document.Run
	States   *timeline.Picture
	Payloads []document.Payload
	Failures []document.FailureCount
	Demand   *document.RunDemand
	Course   []document.DemandPoint
	// Check is nil while nobody has asked for it of a run that is large.
	Check  *document.RunCheck
	Places []placed
	Files  []fileRow
	Next   string
	// Histograms counts them.
	Histograms int
}

// Announced is how many slices the producer has said that there are; 0 where it has not.
func (p runPage) Announced() int {
	if p.Run.TotalSlices == nil {
		return 0
	}
	return *p.Run.TotalSlices
}

// placed is how many outstanding slices are at a place.
type placed struct {
	Place document.Place
	Text  string
	N     int
}

// findRun is the run that the path names.
func (p *Pages) findRun(r *http.Request) (ledger.Run, error) {
	id := named(r, "run")
	list, err := p.cfg.Store.FindRuns(r.Context(), ledger.RunFilter{Namespace: p.namespace(r), Run: id, Limit: 1})
	if err == nil && len(list) == 0 {
		err = missing("Unknown run", fmt.Sprintf("There is no run %s in the namespace %s.", id, p.namespace(r)))
	}
	if err != nil {
		return ledger.Run{}, err
	}
	return list[0], nil
}

// run is all that is known of a run.
func (p *Pages) run(r *http.Request, v *page) error {
	v.Title = "Run " + named(r, "run")
	run, err := p.findRun(r)
	if err != nil {
		return err
	}
	ctx, id := r.Context(), ledger.Text(run.RunID.String())
	data := runPage{Payloads: run.Payloads.Documents()}
	v.Data = &data
	if data.Run, err = p.cfg.Service.RunDocument(ctx, run); err != nil {
		return err
	}
	data.States = timeline.OfRun(data.Run, p.cfg.Service.Now())
	counts, err := p.cfg.Store.Failures(ctx, run.Namespace, id)
	if err != nil {
		return err
	}
	data.Failures = ledger.FailureDocuments(counts)
	set, err := p.cfg.Store.MergedHistograms(ctx, run.Namespace, id)
	if err != nil {
		return err
	}
	data.Histograms = len(set)
	if asked := r.URL.Query().Get("check") != ""; asked || run.Published <= checkedAtOnce && run.Outstanding() <= locatedAtOnce {
		if asked {
			v.Refresh = 0 // it may take long
		}
		check, err := p.cfg.Service.Check(ctx, run)
		if err != nil {
			return err
		}
		data.Check, data.Places = &check, places(check.Places)
	}
	if run.State != document.RunClosed {
		if data.Demand, err = p.demandOf(ctx, run); err != nil {
			return err
		}
		if data.Demand != nil {
			data.Course = p.cfg.Service.DemandCourse(data.Demand.RunID)
		}
	}
	return p.files(r, run, &data)
}

// places say where outstanding slices are, in the order in which they are told.
func places(counted map[document.Place]int) (out []placed) {
	for _, at := range []placed{
		{document.PlaceQueue, "on the queue, or with a worker that reports nothing", 0},
		{document.PlaceHeld, "held by pilots", 0},
		{document.PlaceSilent, "held by pilots that fell silent", 0},
		{document.PlaceUnsent, "sent again and not confirmed by the broker", 0},
		{document.PlaceWaiting, "waiting for their next attempt", 0},
		{document.PlaceDeadLetter, "dead letters, to be sent again", 0},
	} {
		if at.N = counted[at.Place]; at.N > 0 {
			out = append(out, at)
		}
	}
	return out
}
