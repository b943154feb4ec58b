package dashboard

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/whereabouts"
)

type slicePage struct {
	Slice    message.SliceHistory
	Timeline *timeline
	Attempts []attemptRow
	// Latency is from its creation to its end, negative while it has none.
	Latency float64
	Message string
	// Text and Next say what its failure is, and what is to be done.
	Text, Next string
}

// attemptRow is an attempt with how long its steps took.
type attemptRow struct {
	message.AttemptDocument

	Steps []bar
}

// slice is a slice with its whole history.
func (p *Pages) slice(r *http.Request, v *page) error {
	identity := named(r, "slice")
	v.Title = "Slice " + identity
	run, err := p.findRun(r)
	if err != nil {
		return err
	}
	doc, err := p.cfg.Service.History(r.Context(), ledger.Key{Namespace: run.Namespace, Run: run.RunID.String(), Identity: identity})
	if err != nil {
		return err
	}
	if doc == nil {
		return missing("Unknown slice", fmt.Sprintf("Run %s has no slice %s.", run.RunID, identity))
	}
	data := slicePage{Slice: *doc, Latency: -1}
	now := p.cfg.Service.Health(r.Context()).At
	data.Timeline = sliceTimeline(doc, now)
	for i := range doc.Attempts {
		data.Attempts = append(data.Attempts, attemptRow{doc.Attempts[i], steps(doc, &doc.Attempts[i], now)})
	}
	if !doc.FinishedAt.IsZero() && !doc.CreatedAt.IsZero() {
		data.Latency = max(0, doc.FinishedAt.Sub(doc.CreatedAt).Seconds())
		v.Refresh = 0
	}
	data.Message = indent(doc.Message)
	if doc.Failure != nil {
		data.Text, data.Next = advice(doc.Failure.Name)
	}
	v.Data = data
	return nil
}

// sliceTimeline has a lane for the slice and one for each attempt.
func sliceTimeline(doc *message.SliceHistory, now time.Time) *timeline {
	t := &timeline{Title: "Time line of slice " + doc.Identity, Summary: "Each step stands in the list of events below."}
	whole := lane{ID: "slice", Label: "slice", Note: doc.State}
	if !doc.STFCreatedAt.IsZero() && !doc.CreatedAt.IsZero() {
		whole.Bars = append(whole.Bars, bar{From: doc.STFCreatedAt, To: doc.CreatedAt, Kind: "queue", Text: "cut from its STF"})
	}
	for i := range doc.Attempts {
		a := &doc.Attempts[i]
		if i > 0 && !ended(&doc.Attempts[i-1]).IsZero() {
			whole.Bars = append(whole.Bars, bar{From: ended(&doc.Attempts[i-1]), To: a.CreatedAt, Kind: "retry", Text: fmt.Sprintf("until attempt %d", a.Attempt)})
		}
		t.Lanes = append(t.Lanes, lane{
			ID: fmt.Sprint("attempt-", a.Attempt), Label: fmt.Sprintf("attempt %d: %s", a.Attempt, a.State), Note: cmp.Or(a.Hostname, a.PilotID), Bars: steps(doc, a, now),
		})
	}
	if !doc.RetryAt.IsZero() {
		from := doc.RetryAt
		if n := len(doc.Attempts); n > 0 && !ended(&doc.Attempts[n-1]).IsZero() {
			from = ended(&doc.Attempts[n-1])
		}
		whole.Bars = append(whole.Bars, bar{From: from, To: doc.RetryAt, Kind: "retry", Text: "until its next attempt", Open: true})
	}
	for _, e := range doc.Events {
		m := mark{At: e.At, Kind: e.What, Text: said(e)}
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
	t.Lanes = append([]lane{whole}, t.Lanes...)
	return t.layOut()
}

// ended is when an attempt was over, so that another could follow.
func ended(a *message.AttemptDocument) time.Time {
	if lost := whereabouts.LostAt(a); !lost.IsZero() {
		return lost
	}
	return a.FinishedAt
}

// steps are what an attempt went through, as far as it is known.
func steps(doc *message.SliceHistory, a *message.AttemptDocument, now time.Time) (out []bar) {
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
	at, doing := a.CreatedAt, bar{Kind: "queue", Text: "on the queue"}
	next := func(to time.Time, then bar) {
		if to.IsZero() {
			return
		}
		if doing.From, doing.To = at, to; !at.IsZero() {
			out = append(out, doing)
		}
		at, doing = to, then
	}
	next(received, bar{Kind: "hand", Text: "in the worker's hand"})
	next(started, bar{Kind: "run", Text: "payload runs"})
	next(a.ProcessedAt, bar{Kind: "publish", Text: "result is published"})
	next(a.PublishedAt, bar{Kind: "count", Text: "result is on its way to idds"})
	switch {
	case a.State == "lost":
		doing.Kind, doing.Text = "lost", "lost: "+a.Reason
		next(a.FinishedAt, bar{})
	case !a.FinishedAt.IsZero():
		next(a.FinishedAt, bar{})
	case doc.FinishedAt.IsZero():
		doing.Open = true
		next(now, bar{})
	}
	return out
}

// said is an event in words.
func said(e message.SliceEvent) string {
	text := map[string]string{
		"stf_created": "its STF was written", "created": "created", "sent": "sent to the queue", "received": "received by a worker", "started": "payload started",
		"processed": "payload ended", "published": "result published", "finished": "counted by idds", "absorbed": "a further result came and changed nothing",
		"lost": "given up", "retry_due": "next attempt is due", "final": "final",
	}[e.What]
	return cmp.Or(text, e.What)
}
