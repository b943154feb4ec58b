package whereabouts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// History is a slice with all that is known of it, of which the record is one part and what workers hold another.
func History(sl *ledger.Slice, record document.Slice, workers []document.Worker) *document.SliceHistory {
	var m message.Slice
	_ = json.Unmarshal(sl.Message, &m) // of a slice of which only results came there is none
	doc := &document.SliceHistory{
		Slice: record, SizeBytes: m.Content.Size.Int64(), Adler32: m.Content.Adler32, STFCreatedAt: sl.STFAt, RetryAt: sl.RetryAt,
		Counts: sl.Counts, Downed: sl.Downed, Absorbed: sl.AbsorbedCount, Message: sl.Message,
	}
	doc.Events = append(events(sl), received(sl, workers)...)
	slices.SortStableFunc(doc.Events, func(a, b document.SliceEvent) int { return a.At.Compare(b.At) })
	return doc
}

// received are the times at which pilots that hold a slice say that it came, and that its payload was started.
func received(sl *ledger.Slice, workers []document.Worker) (out []document.SliceEvent) {
	if sl.State.Final() {
		return nil
	}
	for i := range workers {
		for _, in := range workers[i].InHand {
			if k := inHand(in); k.run != sl.Key.Run || k.identity != sl.Key.Identity {
				continue
			}
			e := document.SliceEvent{Attempt: max(1, in.Attempt), PilotID: workers[i].PilotID, Details: workers[i].Hostname}
			if e.What, e.At = "received", in.Since.UTC(); !in.Since.IsZero() {
				out = append(out, e)
			}
			if e.What, e.At = "started", in.RunningSince.UTC(); !in.RunningSince.IsZero() {
				out = append(out, e)
			}
		}
	}
	return out
}

// events are what the ledger has noted of a slice, with the times that it knows.
func events(sl *ledger.Slice) []document.SliceEvent {
	out := []document.SliceEvent{}
	add := func(at time.Time, e document.SliceEvent) {
		if e.At = at.UTC(); !at.IsZero() {
			out = append(out, e)
		}
	}
	add(sl.STFAt, document.SliceEvent{What: "stf_created", Details: sl.Filename})
	add(sl.CreatedAt, document.SliceEvent{What: "created"})
	for i := range sl.Attempts {
		a := &sl.Attempts[i]
		e := document.SliceEvent{Attempt: a.Attempt, PilotID: a.PilotID}
		sent, lost := document.SliceEvent{What: "sent", Attempt: a.Attempt}, a.GivenUp()
		if lost.IsZero() {
			sent.Details = a.Reason
		}
		add(a.CreatedAt, sent)
		add(lost, document.SliceEvent{What: "lost", Attempt: a.Attempt, Details: a.Reason})
		if a.State == "lost" {
			continue
		}
		for _, of := range []struct {
			what string
			at   time.Time
		}{{"received", a.ReceivedAt}, {"started", a.StartedAt}, {"processed", a.ProcessedAt}, {"published", a.PublishedAt}} {
			step := e
			step.What, step.Details = of.what, a.Hostname
			add(of.at, step)
		}
		e.What, e.Details = "finished", a.State
		if a.Failure != nil {
			e.Details = fmt.Sprintf("%s: %s", cmp.Or(a.Failure.Name, a.State), a.Failure.Message)
		}
		add(a.FinishedAt, e)
	}
	for _, a := range sl.Absorbed {
		add(a.At, document.SliceEvent{What: "absorbed", Attempt: a.Attempt, PilotID: a.PilotID, Details: a.State})
	}
	add(sl.RetryAt, document.SliceEvent{What: "retry_due", Attempt: sl.Latest() + 1})
	if sl.State.Final() {
		add(sl.FinishedAt, document.SliceEvent{What: "final", Details: string(sl.State)})
	}
	return out
}
