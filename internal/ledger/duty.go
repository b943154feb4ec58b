package ledger

import (
	"errors"
	"fmt"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// Duty is what only one program may do in a namespace: where Python components live beside us, configuration says which.
type Duty string

// The duties.
const (
	DutyDemand Duty = "demand" // asking for workers
	DutyStop   Duty = "stop"   // telling workers that their run is over
	DutyRetry  Duty = "retry"  // sending an attempt again
	DutyAnswer Duty = "answer" // answering what an iDDS is asked for
	DutyBooks  Duty = "books"  // keeping the books: of two who do, each has only part of them
)

// Whose a duty is, and where the demand comes from.
const (
	Own          = "own"
	Other        = "other"
	RunImminent  = "run_imminent"
	WorkflowTask = "workflow_task"
)

// Duties are who does what. The zero value has all of it done by us.
type Duties struct {
	DemandFrom string `toml:"demand_from" default:"run_imminent" help:"what asks for workers: run_imminent, or workflow_task beside the Python transceiver"`
	StopSender string `toml:"stop_sender" default:"own" help:"who tells workers that their run is over: own, or other beside the Python transceiver"`
	RetryOwner string `toml:"retry_owner" default:"own" help:"who sends what failed or was lost again: own, or other"`
	// TakeOverAfter is how long another program is waited for whose duty it is to ask for workers, or to tell them that their run is over.
	TakeOverAfter time.Duration `toml:"take_over_after" default:"1m" help:"time after which idds asks for workers, or tells them that their run is over, if another program should and does not"`
}

// Validate names every duty whose owner is none.
func (d Duties) Validate() error {
	var errs []error
	for _, o := range []struct{ name, value, a, b string }{
		{"--demand-from", d.DemandFrom, RunImminent, WorkflowTask}, {"--stop-sender", d.StopSender, Own, Other}, {"--retry-owner", d.RetryOwner, Own, Other},
	} {
		if o.value != o.a && o.value != o.b {
			errs = append(errs, fmt.Errorf("%s %q is neither %s nor %s", o.name, o.value, o.a, o.b))
		}
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

// maxActors bounds what is kept of a namespace's second actors: their names are anybody's text.
const maxActors = 100

// Second notes that somebody else does one of our duties. It says whether that is news.
func Second(tx Tx, namespace string, duty Duty, sender, run string, now time.Time) (news bool, err error) {
	if sender = fmt.Sprintf("%.80s", sender); sender == "" {
		sender = "(no sender)"
	}
	known, err := tx.Actors(namespace)
	if err != nil {
		return false, err
	}
	find := func(name string) *document.Actor {
		for i := range known {
			if a := &known[i]; a.Duty == string(duty) && a.Sender == name {
				return a
			}
		}
		return nil
	}
	a := find(sender)
	if a == nil && len(known) >= maxActors {
		sender = "(others)"
		a = find(sender)
	}
	if a == nil {
		news = true
		a = &document.Actor{Namespace: namespace, Duty: string(duty), Sender: sender, FirstAt: now}
	}
	a.Count++
	a.LastAt, a.RunID = now, run
	return news, tx.PutActor(*a)
}

// Stop takes a stop_transformer that another program has sent: the one that counts, if that is its duty.
func (l Rules) Stop(tx Tx, m message.StopTransformer, now time.Time) (news bool, err error) {
	if l.StopSender != Other {
		return Second(tx, m.Namespace, DutyStop, m.Sender, m.RunID.String(), now)
	}
	r, err := heard(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return false, err
	}
	r.StopSeen = true
	r.StopSent = r.State == document.RunClosed
	return false, tx.PutRun(r)
}
