package storetest

import (
	"context"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// summary is what store and model have to agree on about a run.
type summary struct {
	States                                                           map[string]string
	Published, Done, Failed, Retried, Absorbed, Corrected, Unmatched int
	Events                                                           int64
	Pictures                                                         float64
	Closed, Open, Known                                              bool
	Actors                                                           int
}

// Check compares after every action.
func (m *machine) Check(rt *rapid.T) {
	if diff := cmp.Diff(m.wanted(), m.found(rt)); diff != "" {
		rt.Fatal("the store (+) is not as the rules (-) say: " + diff)
	}
}

func (m *machine) wanted() summary {
	w := summary{
		States: map[string]string{}, Published: len(m.model.slices), Absorbed: m.model.absorbed, Corrected: m.model.corrected,
		Unmatched: m.model.unmatched, Closed: m.model.closed, Actors: m.model.actors,
	}
	// Where another tells the workers, a run is over when he has; here we never do.
	w.Known = m.model.known
	w.Open = w.Known && (!m.model.closed || m.rules.StopSender != ledger.Other || !m.model.stopped)
	for id, e := range m.model.slices {
		w.States[id] = "open"
		switch {
		case e.done:
			w.States[id] = "done"
			w.Done++
			w.Events += e.events
		case e.final:
			w.States[id] = "failed"
			w.Failed++
		}
		for n := range e.known {
			if n > 1 {
				w.Retried++
			}
		}
	}
	w.Pictures = float64(w.Done)
	return w
}

func (m *machine) found(rt *rapid.T) summary {
	ctx := context.Background()
	list, err := m.store.Slices(ctx, ledger.Filter{Namespace: namespace, Run: run})
	if err != nil {
		rt.Fatal(err)
	}
	f := summary{States: map[string]string{}}
	for i := range list {
		s := &list[i]
		f.States[s.Key.Identity] = "open"
		if s.State.Final() {
			f.States[s.Key.Identity] = string(s.State)
		}
	}
	runs, err := m.store.Runs(ctx, namespace)
	if err != nil {
		rt.Fatal(err)
	}
	actors, err := m.store.Actors(ctx, namespace)
	if err != nil {
		rt.Fatal(err)
	}
	for _, a := range actors {
		f.Actors += a.Count
	}
	if len(runs) == 0 {
		return f
	}
	r := runs[0]
	f.Known = r.State != document.RunUnannounced
	f.Published, f.Done, f.Failed, f.Retried = r.Published, r.Done, r.Failed, r.Retried
	f.Absorbed, f.Corrected, f.Unmatched = r.Absorbed, r.Corrected, r.Unmatched
	f.Events, f.Closed, f.Open = r.Counts["events"], r.State == document.RunClosed, r.Open()
	set, err := m.store.MergedHistograms(ctx, namespace, run)
	if err != nil {
		rt.Fatal(err)
	}
	if h := set.Find("h"); h != nil {
		f.Pictures = h.Entries
	}
	return f
}
