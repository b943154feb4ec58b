package timeline

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tfpilot/internal/document"
)

// OfSlice has a lane for the slice and one for each attempt.
func OfSlice(doc *document.SliceHistory, now time.Time) *Picture {
	t := &Picture{Title: "Time line of slice " + doc.Identity, Summary: "Each step stands in the list of events below."}
	whole := Lane{ID: "slice", Label: "slice", Note: doc.State}
	if !doc.STFCreatedAt.IsZero() && !doc.CreatedAt.IsZero() {
		whole.Bars = append(whole.Bars, Bar{From: doc.STFCreatedAt, To: doc.CreatedAt, Kind: "queue", Text: "cut from its STF"})
	}
	for i := range doc.Attempts {
		a := &doc.Attempts[i]
		if i > 0 && !ended(&doc.Attempts[i-1]).IsZero() {
			whole.Bars = append(whole.Bars, Bar{From: ended(&doc.Attempts[i-1]), To: a.CreatedAt, Kind: "retry", Text: fmt.Sprintf("until attempt %d", a.Attempt)})
		}
		t.Lanes = append(t.Lanes, Lane{
			ID: fmt.Sprint("attempt-", a.Attempt), Label: fmt.Sprintf("attempt %d: %s", a.Attempt, a.State), Note: cmp.Or(a.Hostname, a.PilotID), Bars: Steps(doc, a, now),
		})
	}
	if !doc.RetryAt.IsZero() {
		from := doc.RetryAt
		if n := len(doc.Attempts); n > 0 && !ended(&doc.Attempts[n-1]).IsZero() {
			from = ended(&doc.Attempts[n-1])
		}
		whole.Bars = append(whole.Bars, Bar{From: from, To: doc.RetryAt, Kind: "retry", Text: "until its next attempt", Open: true})
	}
	for _, e := range doc.Events {
		m := Mark{At: e.At, Kind: e.What, Text: Said(e)}
		switch e.What {
		case "created":
			whole.Marks = append(whole.Marks, m)
		case "final":
			m.Kind = e.Details
			whole.Marks = append(whole.Marks, m)
		case "absorbed", "lost":
			for i := range t.Lanes {
				if t.Lanes[i].ID == fmt.Sprint("attempt-", e.Attempt) {
					t.Lanes[i].Marks = append(t.Lanes[i].Marks, m)
				}
			}
		}
	}
	t.Lanes = append([]Lane{whole}, t.Lanes...)
	return t.layOut()
}

// ended is when an attempt was over, so that another could follow.
func ended(a *document.Attempt) time.Time {
	if lost := a.GivenUp(); !lost.IsZero() {
		return lost
	}
	return a.FinishedAt
}

// Steps are what an attempt went through, as far as it is known.
func Steps(doc *document.SliceHistory, a *document.Attempt, now time.Time) (out []Bar) {
	received, started := a.ReceivedAt, a.StartedAt
	for _, e := range doc.Events { // what a living worker says of it
		switch {
		case e.Attempt != a.Attempt:
		case e.What == "received" && received.IsZero():
			received = e.At
		case e.What == "started" && started.IsZero():
			started = e.At
		}
	}
	at, doing := a.CreatedAt, Bar{Kind: "queue", Text: "on the queue"}
	next := func(to time.Time, then Bar) {
		if to.IsZero() {
			return
		}
		if doing.From, doing.To = at, to; !at.IsZero() {
			out = append(out, doing)
		}
		at, doing = to, then
	}
	next(received, Bar{Kind: "hand", Text: "in the worker's hand"})
	next(started, Bar{Kind: "run", Text: "payload runs"})
	next(a.ProcessedAt, Bar{Kind: "publish", Text: "result is published"})
	next(a.PublishedAt, Bar{Kind: "count", Text: "result is on its way to idds"})
	switch {
	case a.State == "lost":
		doing.Kind, doing.Text = "lost", "lost: "+a.Reason
		next(a.FinishedAt, Bar{})
	case !a.FinishedAt.IsZero():
		next(a.FinishedAt, Bar{})
	case doc.FinishedAt.IsZero():
		doing.Open = true
		next(now, Bar{})
	}
	return out
}

// Said is an event in words.
func Said(e document.SliceEvent) string {
	text := map[string]string{
		"stf_created": "its STF was written", "created": "created", "sent": "sent to the queue", "received": "received by a worker", "started": "payload started",
		"processed": "payload ended", "published": "result published", "finished": "counted by idds", "absorbed": "a further result came and changed nothing",
		"lost": "given up", "retry_due": "next attempt is due", "final": "final",
	}[e.What]
	return cmp.Or(text, e.What)
}

// OfRun shows the run's own states, and the detector's where they are known.
func OfRun(doc document.Run, now time.Time) *Picture {
	t := &Picture{Title: "Time line of run " + doc.RunID, Summary: "The times stand beneath."}
	until := doc.ClosedAt
	if until.IsZero() {
		until = now
	}
	if d := doc.Detector; d != nil {
		l := Lane{ID: "detector", Label: "detector", Note: d.State}
		for i, c := range d.Changes {
			b := Bar{From: c.At, To: later(c.At, until), Kind: c.State, Text: strings.TrimSpace(c.State + " " + c.Substate), Open: doc.ClosedAt.IsZero()}
			if c.Substate == "standby" { // no data is taken
				b.Kind = c.Substate
			}
			if i+1 < len(d.Changes) {
				b.To, b.Open = d.Changes[i+1].At, false
			}
			l.Bars = append(l.Bars, b)
		}
		t.Lanes = append(t.Lanes, l)
	}
	l := Lane{ID: "run", Label: "run, as idds has it", Note: string(doc.State)}
	opened := Bar{From: doc.OpenedAt, To: until, Kind: "run", Text: "open", Open: doc.EndedAt.IsZero()}
	if !doc.EndedAt.IsZero() {
		opened.To = doc.EndedAt
		l.Bars = append(l.Bars, Bar{From: doc.EndedAt, To: until, Kind: "retry", Text: "ending: what is left is waited for", Open: doc.ClosedAt.IsZero()})
	}
	l.Bars = append([]Bar{opened}, l.Bars...)
	if !doc.ClosedAt.IsZero() {
		l.Marks = append(l.Marks, Mark{At: doc.ClosedAt, Kind: "done", Text: "closed"})
	}
	t.Lanes = append(t.Lanes, l)
	return t.layOut()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
