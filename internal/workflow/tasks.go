package workflow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// create makes a task, or finds the one that there is of the scope, the name and the run: an announcement that comes twice asks for no
// second set of workers.
func (r request) create() error {
	w, err := r.m.Workflow()
	switch {
	case err != nil:
		return r.refuse(BadRequest, "the workflow cannot be read: %s", err)
	case w.Scope == "" || w.Name == "":
		return r.refuse(BadRequest, "the workflow has no scope, or no name")
	case len(w.Scope) > maxName || len(w.Name) > maxName || len(w.Content.Site) > maxName:
		return r.refuse(BadRequest, "scope, name or site of the workflow is longer than %d bytes", maxName)
	case len(r.m.Content.Workflow) > maxAsked:
		return r.refuse(BadRequest, "the workflow is longer than %d bytes", maxAsked)
	}
	run, c := r.m.Run(), w.Content
	if !c.RunID.IsZero() && !c.RunID.Same(run) {
		return r.refuse(BadRequest, "the workflow is for run %.100q, and its message for run %.100q", c.RunID, run)
	}
	size := document.TaskSize{
		Workers: c.Workers(), CoreCount: int(c.CoreCount.Int64()), MemoryPerCore: c.MemoryPerCore.Float64(), Site: string(c.Site),
	}
	for _, n := range []message.Int{c.TargetWorkerCount, c.NumWorkers, c.NumCoresPerWorker, c.CoreCount} {
		if n.Int64() < 0 || n.Int64() > most {
			return r.refuse(BadRequest, "%d workers or cores are not between 0 and %d", n.Int64(), most)
		}
	}
	if size.MemoryPerCore < 0 {
		return r.refuse(BadRequest, "memory_per_core is %g MB", size.MemoryPerCore)
	}
	f := ledger.TaskFilter{Namespace: r.m.Namespace, Run: run.String(), Scope: string(w.Scope), Name: nameOf(string(w.Name), run.String()), Limit: 1}
	if found, err := r.tx.Tasks(f); len(found) > 0 || err != nil {
		r.answer.Tasks = found
		return err
	}
	t := ledger.Task{
		Namespace: f.Namespace, RunID: run, Scope: f.Scope, Name: f.Name, TaskSize: size, First: size, CoresPerWorker: int(c.NumCoresPerWorker.Int64()),
		CreatedBy: fmt.Sprintf("%.80s", r.by.Name), CreatedAt: r.now, Asked: r.m.Content.Workflow,
	}
	f.Run = "" // the first of the name
	first, err := r.tx.Tasks(f)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		t.Request = first[0].Request
	}
	if err := r.tx.PutTask(&t); err != nil {
		return err
	}
	r.answer.Tasks = []ledger.Task{t}
	if err := r.audit("workflow_task.create", &t, words(size)); err != nil {
		return err
	}
	return r.demand(run)
}

// nameOf is the name of a request, which many runs share: that of a task without its run's number at the end. iDDS cuts at the number
// wherever it finds it, and would take two sites of a run that are named after it for one, and a short number for part of a date.
func nameOf(name, run string) string {
	return cmp.Or(strings.TrimSuffix(name, "_"+run), name)
}

func words(s document.TaskSize) string {
	return fmt.Sprintf("%d workers, core_count %d, memory_per_core %g MB, site %.100q", s.Workers, s.CoreCount, s.MemoryPerCore, s.Site)
}

// adjust gives a task another size. The core_count of the production system is that of the task, scaled: it is not said whose cores it
// counts, but as many times more of them are as many times more workers.
func (r request) adjust() error {
	tasks, err := r.named()
	switch {
	case err != nil:
		return err
	case len(tasks) == 0:
		return r.refuse(NoObject, "there is no workflow task of %s", r.names())
	case len(tasks) > 1:
		return r.refuse(BadRequest, "there are %d workflow tasks of %s: name one by its transform_id", len(tasks), r.names())
	}
	t, c := &tasks[0], r.m.Content
	size := t.TaskSize
	for _, n := range []message.Int{c.CoreCount, c.NumWorkers} {
		if n.Int64() < 0 || n.Int64() > most {
			return r.refuse(BadRequest, "%d workers or cores are not between 0 and %d", n.Int64(), most)
		}
	}
	if len(c.Site) > maxName {
		return r.refuse(BadRequest, "the site is longer than %d bytes", maxName)
	}
	if !c.CoreCount.IsZero() {
		size.CoreCount = int(c.CoreCount.Int64())
		size.Workers = scaled(t, size.CoreCount)
	}
	if !c.NumWorkers.IsZero() {
		size.Workers = int(c.NumWorkers.Int64())
	}
	if !c.MemoryPerCore.IsZero() {
		size.MemoryPerCore = c.MemoryPerCore.Float64()
	}
	if c.Site != "" {
		size.Site = string(c.Site)
	}
	r.answer.Tasks = tasks
	switch {
	case size.MemoryPerCore < 0:
		return r.refuse(BadRequest, "memory_per_core is %g MB", size.MemoryPerCore)
	case size.Workers > most:
		return r.refuse(BadRequest, "%d workers are more than %d", size.Workers, most)
	case size == t.TaskSize:
		return nil
	case !t.Open():
		return r.refuse(Conflict, "the workflow task of %s is closed", r.names())
	}
	t.TaskSize = size
	if err := r.change(t, "adjusted", "workflow_task.adjust", words(size)); err != nil {
		return err
	}
	return r.demand(t.RunID)
}

// scaled is how many workers a task has with another number of cores.
func scaled(t *ledger.Task, cores int) int {
	whole, part := max(1, t.CoresPerWorker), 1
	if t.First.CoreCount > 0 {
		whole, part = t.First.CoreCount, t.First.Workers
	}
	return (cores*part + whole - 1) / whole
}

// close ends tasks: no worker is wanted for them once every slice is final.
func (r request) close() error {
	tasks, err := r.named()
	if err != nil {
		return err
	}
	r.answer.Tasks = tasks
	if len(tasks) == 0 {
		return r.refuse(NoObject, "there is no workflow task of %s", r.names())
	}
	runs := map[string]message.RunID{}
	for i := range tasks {
		if t := &tasks[i]; t.Open() {
			t.ClosedAt, runs[t.RunID.String()] = r.now, t.RunID
			if err := r.change(t, "closed", "workflow_task.close", ""); err != nil {
				return err
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(runs)) {
		if err := r.demand(runs[id]); err != nil {
			return err
		}
	}
	return nil
}

// change writes a task that has changed.
func (r request) change(t *ledger.Task, did, audit, details string) error {
	t.Changes = append(t.Changes, document.TaskChange{At: r.now, By: fmt.Sprintf("%.80s", r.by.Name), Did: did, TaskSize: t.TaskSize})
	t.Changes = t.Changes[max(0, len(t.Changes)-maxChanges):]
	if err := r.tx.PutTask(t); err != nil {
		return err
	}
	return r.audit(audit, t, details)
}
