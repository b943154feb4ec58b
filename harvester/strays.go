package harvester

import (
	"cmp"
	"context"
	"slices"
)

// Jobs are the jobs in the batch system that live and are of one of the submitters; of all submitters when none is named. ours is
// the name of this store's, under which it has submitted.
func (h *Harvester) Jobs(ctx context.Context, submitters ...string) (jobs []Job, ours string, err error) {
	if err := h.load(ctx); err != nil {
		return nil, "", err
	}
	all, err := h.batch.Queue(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, j := range all {
		if j.State.Live() && (len(submitters) == 0 || slices.Contains(submitters, Submitter(j.Tag))) {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Or(cmp.Compare(a.Tag, b.Tag), a.Index-b.Index) })
	return jobs, h.submitter, nil
}

// Adopt takes jobs into the book that it does not know, as pilots of a run.
func (h *Harvester) Adopt(ctx context.Context, jobs []Job, run, namespace string) ([]Worker, error) {
	if err := h.load(ctx); err != nil {
		return nil, err
	}
	var adopted []Worker
	for _, j := range jobs {
		w := Worker{ID: workerID(j.Tag, j.Index), Tag: j.Tag, RunID: run, Namespace: namespace, IntendedAt: h.now()}
		if _, known := h.book.live[w.ID]; !known {
			adopted = append(adopted, w.observe(j, h.now()))
		}
	}
	return adopted, h.write(ctx, adopted...)
}

// Reap cancels jobs by one command, and notes it with those that are in the book.
func (h *Harvester) Reap(ctx context.Context, jobs []Job, why string) error {
	ids := make([]string, len(jobs))
	var workers []Worker
	for i, j := range jobs {
		ids[i] = j.ID
		if w, known := h.book.live[workerID(j.Tag, j.Index)]; known {
			w.Cancel = &Cancellation{At: h.now(), Start: j.Starts, Why: why}
			workers = append(workers, w)
		}
	}
	if err := h.batch.Cancel(ctx, ids); err != nil {
		return err
	}
	return h.write(context.WithoutCancel(ctx), workers...)
}
