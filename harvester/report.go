package harvester

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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
	for _, w := range h.book.live {
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
	t := Trouble{Whom: whom, Since: now, Text: err.Error()}
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

// Explain says in sentences why pilots are submitted, or not.
func (r Report) Explain(now time.Time) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, t := range r.Trouble {
		say("Trouble with %s for %s: %s.", t.Whom, now.Sub(t.Since).Round(time.Second), t.Text)
	}
	for _, run := range r.Runs {
		name := "Run " + run.RunID
		if run.RunID == "" {
			name = "Whatever run there is"
		}
		if run.Namespace != "" {
			name += " (" + run.Namespace + ")"
		}
		alive := 0
		for _, n := range run.Alive {
			alive += n
		}
		if run.Demanded {
			say("%s wants %d and has %d%s.", name, run.Wanted, alive, states(run.Alive))
		} else {
			say("%s wants no pilots any more and has %d%s: what runs is let finish, what waits is cancelled.", name, alive, states(run.Alive))
		}
	}
	if len(r.Runs) == 0 && len(r.Trouble) == 0 {
		say("No run wants pilots.")
	}
	for _, why := range r.Why {
		say("Not submitted: %s.", why)
	}
	if now.Before(r.Pause.Until) {
		say("The pause after the failures ends in %s.", r.Pause.Until.Sub(now).Round(time.Second))
	}
	for _, n := range r.Excluded {
		say("Node %s is kept away from until %s, because %d workers in a row failed there, the last with: %s.", n.Node, n.Until.Format(time.DateTime), n.Failures, n.Why)
	}
	if r.Strays > 0 {
		say("%s of ours in the batch system, of which the store knows nothing: `harvester adopt` takes them in.", counted(r.Strays, "job is", "jobs are"))
	}
	return out
}

// states is how many there are in each state, in words.
func states(alive map[State]int) string {
	var parts []string
	for _, s := range []State{Intended, Queued, Held, Running, Suspended, Ending, Unknown} {
		if n := alive[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
