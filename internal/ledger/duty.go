package ledger

import (
	"errors"
	"fmt"
	"time"

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

// second notes that somebody else does one of our duties. It says whether that is news.
func second(tx Tx, namespace string, duty Duty, sender, run string, now time.Time) (news bool, err error) {
	if sender = fmt.Sprintf("%.80s", sender); sender == "" {
		sender = "(no sender)"
	}
	known, err := tx.Actors(namespace)
	if err != nil {
		return false, err
	}
	find := func(name string) *message.ActorDocument {
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
		a = &message.ActorDocument{Namespace: namespace, Duty: string(duty), Sender: sender, FirstAt: now}
	}
	a.Count++
	a.LastAt, a.RunID = now, run
	return news, tx.PutActor(*a)
}

// Task takes what the production transceiver asks for: the demand, if it is to come from there; else somebody asks for workers
// a second time, which is news once.
func (l Rules) Task(tx Tx, m message.WorkflowTask, now time.Time) (news bool, err error) {
	if l.DemandFrom != WorkflowTask {
		return second(tx, m.Namespace, DutyDemand, m.Sender, m.Run().String(), now)
	}
	r, err := run(tx, m.Namespace, m.Run(), now)
	if err != nil {
		return false, err
	}
	cores := int(m.Content.CoreCount.Int64())
	switch m.MsgType {
	case message.TypeCreateWorkflowTask:
		r.Workers, r.DemandClosed = m.Workers(), false
		r.TaskWorkers, r.TaskCores = r.Workers, int(m.Content.Workflow.Content.CoreCount.Int64())
	case message.TypeAdjustWorker:
		// The cores of the task are scaled, and with them its workers: each has its share.
		switch {
		case cores <= 0:
		case r.TaskCores > 0:
			r.Workers = (cores*r.TaskWorkers + r.TaskCores - 1) / r.TaskCores
		default:
			r.Workers = cores
		}
	case message.TypeCloseWorkflowTask:
		r.DemandClosed = true
	}
	return false, tx.PutRun(r)
}

// Stop takes a stop_transformer that another program has sent: the one that counts, if that is its duty.
func (l Rules) Stop(tx Tx, m message.StopTransformer, now time.Time) (news bool, err error) {
	if l.StopSender != Other {
		return second(tx, m.Namespace, DutyStop, m.Sender, m.RunID.String(), now)
	}
	r, err := run(tx, m.Namespace, m.RunID, now)
	if err != nil {
		return false, err
	}
	r.StopSeen = true
	r.StopSent = r.State == message.RunClosed
	return false, tx.PutRun(r)
}
