package harvester

import (
	"context"
	"reflect"
	"slices"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// Names of documents in the store.
const (
	submitterDocument = "submitter"
	// DrainDocument holds a Drain: whoever writes it makes the harvester drain, also one that is started later.
	DrainDocument = "drain"
	// ReportDocument holds the Report of the last look.
	ReportDocument = "report"
)

// Drain is the order to submit nothing and to cancel what waits.
type Drain struct {
	Since time.Time `json:"since,omitzero"`
	By    string    `json:"by,omitempty"`
}

// Trouble is somebody who could not be asked.
type Trouble struct {
	Whom  string    `json:"whom"`
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
	// Next is what to do about it.
	Next string `json:"next,omitempty"`
}

// RunReport is how a run stands.
type RunReport struct {
	RunID     string `json:"run_id"`
	Namespace string `json:"namespace"`
	Wanted    int    `json:"wanted"`
	// Demanded is false for a run that nobody wants pilots for any more.
	Demanded bool          `json:"demanded"`
	Reason   string        `json:"reason,omitempty"`
	Alive    map[State]int `json:"alive"`
}

// Report is how everything stands after a look.
type Report struct {
	At        time.Time   `json:"at"`
	System    string      `json:"system"`
	Submitter string      `json:"submitter"`
	Runs      []RunReport `json:"runs"`
	Drain     *Drain      `json:"drain,omitempty"`
	Pause     Pause       `json:"pause"`
	Excluded  []BadNode   `json:"excluded,omitempty"`
	Trouble   []Trouble   `json:"trouble,omitempty"`
	// Strays are jobs of ours in the batch system that the store does not know: `harvester adopt` takes them in.
	Strays int `json:"strays,omitempty"`
	// Why says what keeps wanted pilots from being submitted.
	Why []string `json:"why,omitempty"`
}

// publishInterval is how often a report is written that says nothing new, so that its time tells that somebody looks.
const publishInterval = 10 * time.Second

// publish writes the report when it says something new, or is old.
func (h *Harvester) publish(ctx context.Context, s snapshot, p plan, bad []BadNode, drain Drain) error {
	r := Report{
		At: s.now, System: h.batch.Name(), Submitter: h.submitter, Pause: s.pause, Excluded: bad, Trouble: slices.Clone(h.trouble), Strays: h.strays, Why: p.why,
	}
	if s.drain {
		r.Drain = &drain
	}
	for i := range r.Trouble {
		r.Trouble[i].Text = logging.Redact(r.Trouble[i].Text)
	}
	at := map[runKey]int{}
	for _, d := range s.demands {
		at[runKey{d.Namespace, d.RunID}] = len(r.Runs)
		r.Runs = append(r.Runs, RunReport{RunID: d.RunID, Namespace: d.Namespace, Wanted: d.Wanted, Demanded: true, Reason: d.Reason, Alive: map[State]int{}})
	}
	for _, w := range s.live { // in order, so that the same says the same
		i, ok := at[w.key()]
		if !ok {
			i = len(r.Runs)
			at[w.key()] = i
			r.Runs = append(r.Runs, RunReport{RunID: w.RunID, Namespace: w.Namespace, Alive: map[State]int{}})
		}
		r.Runs[i].Alive[w.State]++
	}
	same := r
	same.At = h.report.At
	if reflect.DeepEqual(same, h.report) && r.At.Sub(h.report.At) < publishInterval {
		return nil
	}
	h.report = r
	return h.store.SetDocument(context.WithoutCancel(ctx), ReportDocument, r)
}

// settled is a list of troubles after somebody was asked.
func settled(list []Trouble, whom string, err error, now time.Time) []Trouble {
	was := troubleWith(list, whom)
	list = slices.DeleteFunc(slices.Clone(list), func(t Trouble) bool { return t.Whom == whom })
	if err == nil {
		return list
	}
	t := Trouble{Whom: whom, Since: now, Text: err.Error(), Next: exitcode.Next(err)}
	if was.Whom != "" {
		t.Since = was.Since
	}
	return append(list, t)
}

func troubleWith(list []Trouble, whom string) Trouble {
	if i := slices.IndexFunc(list, func(t Trouble) bool { return t.Whom == whom }); i >= 0 {
		return list[i]
	}
	return Trouble{}
}
