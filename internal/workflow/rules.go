package workflow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

const (
	// most is how many workers or cores a task may ask for: more are a mistake.
	most = message.MostWorkers
	// maxName and maxAsked bound in bytes what is kept of a request.
	maxName, maxAsked = 500, 64 << 10
	// maxChanges is how many changes of a task are kept, the latest.
	maxChanges = 100
	// maxMessages is how many messages of a request are kept.
	maxMessages = 1000
)

// Rules decide what becomes of a request.
type Rules struct {
	// DemandFrom says whether workers are asked for by workflow tasks at all ([ledger.WorkflowTask]).
	DemandFrom string
}

// Answer is what became of a request.
type Answer struct {
	// Tasks are those that it was about, as they are now.
	Tasks []ledger.Task
	// Fault is why nothing became of it.
	Fault *Fault
	// Changes are those that were made, for the log; the store has them too.
	Changes []access.AuditLine
	// News says that somebody asks for workers whose duty that is not, for the first time.
	News bool
}

// Asker is who makes a request.
type Asker struct {
	Name string
	Role access.Role // empty for a message
	From string      // the address, or the destination of a message
}

// Do does what a request asks for. One that was done already changes nothing, and is answered like the first.
func (l Rules) Do(tx ledger.Tx, m message.WorkflowTask, by Asker, now time.Time) (a Answer, err error) {
	if l.DemandFrom != ledger.WorkflowTask {
		a.Fault = fault(Conflict, "this idds asks for workers by %s; give it --demand-from %s for the other way", message.TypeRunImminentWorker, ledger.WorkflowTask)
		a.News, err = ledger.Second(tx, m.Namespace, ledger.DutyDemand, by.Name, m.Run().String(), now)
		return a, err
	}
	if err := m.Validate(); err != nil {
		a.Fault = fault(BadRequest, "%s", err)
		return a, nil
	}
	if c := m.Content.RunID; !c.IsZero() && !c.Same(m.Run()) { // by either another's workers could be meant
		a.Fault = fault(BadRequest, "the content is for run %.100q, and its message for run %.100q", c, m.Run())
		return a, nil
	}
	r := request{tx: tx, m: m, by: by, now: now.UTC(), answer: &a}
	switch m.MsgType {
	case message.TypeCreateWorkflowTask:
		err = r.create()
	case message.TypeAdjustWorker:
		err = r.adjust()
	default:
		err = r.close()
	}
	return a, err
}

// request is one request under way.
type request struct {
	tx     ledger.Tx
	m      message.WorkflowTask
	by     Asker
	now    time.Time
	answer *Answer
}

func (r request) refuse(kind Kind, format string, args ...any) error {
	r.answer.Fault = fault(kind, format, args...)
	return nil
}

// named are the tasks that a request names: by its numbers, and else by its run.
func (r request) named() ([]ledger.Task, error) {
	c := r.m.Content
	f := ledger.TaskFilter{Namespace: r.m.Namespace, Run: r.m.Run().String(), Request: c.RequestID.Int64(), ID: c.TransformID.Int64()}
	for _, n := range []message.Int{c.RequestID, c.TransformID, c.WorkloadID} {
		if !n.IsZero() && n.Int64() <= 0 { // 0 would select all
			return nil, nil
		}
	}
	if w := c.WorkloadID.Int64(); w != 0 && f.ID != 0 && w != f.ID {
		return nil, nil
	} else if w != 0 {
		f.ID = w
	}
	return r.all(f)
}

// all are the tasks of a filter, which a store hands out in pages.
func (r request) all(f ledger.TaskFilter) (tasks []ledger.Task, err error) {
	for f.Limit = ledger.PageSize; ; {
		page, err := r.tx.Tasks(f)
		if tasks = append(tasks, page...); err != nil || len(page) < f.Limit {
			return tasks, err
		}
		f.After = page[len(page)-1].ID
	}
}

// names says in words what a request names.
func (r request) names() string {
	var words []string
	for name, n := range map[string]message.Int{"request": r.m.Content.RequestID, "transform": r.m.Content.TransformID, "workload": r.m.Content.WorkloadID} {
		if !n.IsZero() {
			words = append(words, fmt.Sprintf("%s %d", name, n.Int64()))
		}
	}
	slices.Sort(words)
	if id := r.m.Run(); !id.IsZero() {
		words = append(words, fmt.Sprintf("run %.100q", id))
	}
	return strings.Join(words, ", ")
}

// audit notes a change.
func (r request) audit(did string, t *ledger.Task, details string) error {
	line := access.AuditLine{
		At: r.now, Who: fmt.Sprintf("%.80s", r.by.Name), Role: r.by.Role, From: r.by.From, Did: did,
		To: fmt.Sprintf("request %d, transform %d of run %.100s", t.Request, t.ID, t.RunID), Namespace: t.Namespace, Details: details,
	}
	r.answer.Changes = append(r.answer.Changes, line)
	return r.tx.AddAudit(line)
}

// demand makes the run of a task want what its open tasks ask for. When there is none any more it keeps what it had, for the slices
// that are left.
func (r request) demand(id message.RunID) error {
	run, err := ledger.OpenRun(r.tx, r.m.Namespace, id, r.now)
	if err != nil {
		return err
	}
	tasks, err := r.all(ledger.TaskFilter{Namespace: r.m.Namespace, Run: id.String()})
	if err != nil {
		return err
	}
	total, sites := 0, map[string]int{}
	run.Tasks, run.DemandClosed = len(tasks), true
	for i := range tasks {
		if t := &tasks[i]; t.Open() {
			run.DemandClosed = false
			total += t.Workers
			sites[t.Site] += t.Workers
		}
	}
	if !run.DemandClosed {
		run.Workers, run.SiteWorkers = total, sites
	}
	return r.tx.PutRun(run)
}
