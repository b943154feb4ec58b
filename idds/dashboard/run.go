package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

const (
	// filesShown is how many STF files a page of a run has: each is a sum over its slices.
	filesShown = 20
	// slicesOfFile is how many time-frame files are shown beneath an STF file.
	slicesOfFile = 16
	// checkedAtOnce is up to how many slices the accounting is checked unasked: all of them are counted, and those outstanding looked up.
	checkedAtOnce, locatedAtOnce = 50_000, 1000
)

type runPage struct {
	Run      message.RunDocument
	Detector *message.DetectorDocument
	States   *timeline
	Payloads []message.PayloadDocument
	Failures []message.FailureDocument
	Demand   *message.RunDemand
	// Check is nil while nobody has asked for it of a run that is large.
	Check  *message.RunCheck
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
	Place message.Place
	Text  string
	N     int
}

// fileRow is an STF file with its time-frame files.
type fileRow struct {
	message.FileDocument

	TimeFrames []message.SliceRecord
	More       int
}

// Parts are what became of its slices.
func (f fileRow) Parts() message.SliceCounts {
	return message.SliceCounts{Published: f.Slices, Done: f.Done, Failed: f.Failed, Outstanding: f.Outstanding}
}

// Began is when it was written or, where nobody says, when its first slice was created.
func (f fileRow) Began() time.Time {
	if f.STFCreatedAt.IsZero() {
		return f.FirstCreatedAt
	}
	return f.STFCreatedAt
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
	data := runPage{Payloads: run.PayloadDocuments()}
	v.Data = &data
	if data.Run, err = p.cfg.Service.RunDocument(ctx, run); err != nil {
		return err
	}
	data.States = runTimeline(data.Run, data.Detector, time.Now())
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
	if run.State != message.RunClosed {
		if data.Demand, err = p.demandOf(ctx, run); err != nil {
			return err
		}
	}
	return p.files(r, run, &data)
}

// runTimeline shows the run's own states, and the detector's where they are known.
func runTimeline(doc message.RunDocument, detector *message.DetectorDocument, now time.Time) *timeline {
	t := &timeline{Title: "Time line of run " + doc.RunID, Summary: "The times stand beneath."}
	until := doc.ClosedAt
	if until.IsZero() {
		until = now
	}
	if detector != nil {
		l := lane{ID: "detector", Label: "detector", Note: detector.State}
		changes := append(slices.Clone(detector.Changes), message.DetectorChange{At: detector.Since, State: detector.State, Substate: detector.Substate})
		for i, c := range changes {
			b := bar{From: c.At, To: until, Kind: c.State, Text: strings.TrimSpace(c.State + " " + c.Substate), Open: doc.ClosedAt.IsZero()}
			if i+1 < len(changes) {
				b.To, b.Open = changes[i+1].At, false
			}
			if l.Bars = append(l.Bars, b); b.To.Before(b.From) { // the detector goes on after the run
				l.Bars[i].To = b.From
			}
		}
		t.Lanes = append(t.Lanes, l)
	}
	l := lane{ID: "run", Label: "run, as idds has it", Note: string(doc.State)}
	opened := bar{From: doc.OpenedAt, To: until, Kind: "run", Text: "open", Open: doc.EndedAt.IsZero()}
	if !doc.EndedAt.IsZero() {
		opened.To = doc.EndedAt
		l.Bars = append(l.Bars, bar{From: doc.EndedAt, To: until, Kind: "retry", Text: "ending: what is left is waited for", Open: doc.ClosedAt.IsZero()})
	}
	l.Bars = append([]bar{opened}, l.Bars...)
	if !doc.ClosedAt.IsZero() {
		l.Marks = append(l.Marks, mark{At: doc.ClosedAt, Kind: "done", Text: "closed"})
	}
	t.Lanes = append(t.Lanes, l)
	return t.layOut()
}

// files are a page of the run's STF files, the last first.
func (p *Pages) files(r *http.Request, run ledger.Run, data *runPage) error {
	f := ledger.FileFilter{Namespace: run.Namespace, Run: run.RunID.String(), Descending: true, Limit: filesShown}
	if err := readCursor(r, &f.After.Identity); err != nil {
		return err
	}
	list, err := p.cfg.Store.Files(r.Context(), f)
	if err != nil {
		return err
	}
	for i := range list {
		found, err := p.cfg.Store.Slices(r.Context(), ledger.Filter{Namespace: run.Namespace, Run: f.Run, Filename: list[i].Identity, Limit: slicesOfFile})
		if err != nil {
			return err
		}
		row := fileRow{FileDocument: list[i].Document(), More: max(0, list[i].Slices-slicesOfFile)}
		if row.TimeFrames, err = p.cfg.Service.Records(r.Context(), run.Namespace, found); err != nil {
			return err
		}
		data.Files = append(data.Files, row)
	}
	if len(list) == filesShown {
		data.Next = cursor(list[len(list)-1].Identity)
	}
	return nil
}

// places say where outstanding slices are, in the order in which they are told.
func places(counted map[message.Place]int) (out []placed) {
	for _, at := range []placed{
		{message.PlaceQueue, "on the queue, or with a worker that reports nothing", 0},
		{message.PlaceHeld, "held by pilots", 0},
		{message.PlaceSilent, "held by pilots that fell silent", 0},
		{message.PlaceUnsent, "sent again and not confirmed by the broker", 0},
		{message.PlaceWaiting, "waiting for their next attempt", 0},
		{message.PlaceDeadLetter, "dead letters, to be sent again", 0},
	} {
		if at.N = counted[at.Place]; at.N > 0 {
			out = append(out, at)
		}
	}
	return out
}
