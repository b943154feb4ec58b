package harvester

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"tfpilot/internal/logging"
)

// historyLimit is how many ended workers back-off and nodes are judged by.
const historyLimit = 1000

// When a job that is not listed is given up: after so many listings in a row without it, and not before LostAfter.
const (
	lostMisses   = 2  // the batch system had named its id
	unclearTries = 3  // nobody knows whether it was submitted at all
	patience     = 30 // times LostAfter, when the second source cannot be asked, or says that it lives
)

// book is what the store holds of workers, in memory: the harvester is the only one who writes it.
type book struct {
	live  map[string]Worker
	ended map[string]Worker // the latest
}

// load reads the book when there is none.
func (h *Harvester) load(ctx context.Context) error {
	if h.book != nil {
		return nil
	}
	live, err := h.store.Live(ctx)
	if err != nil {
		return err
	}
	latest, err := h.store.Latest(ctx, historyLimit)
	if err != nil {
		return err
	}
	b := &book{map[string]Worker{}, map[string]Worker{}}
	for _, w := range slices.Concat(live, latest) {
		b.put(w)
	}
	if _, err := h.store.Document(ctx, submitterDocument, &h.submitter); err != nil {
		return err
	}
	if h.submitter == "" {
		h.submitter = random(6)
		if err := h.store.SetDocument(ctx, submitterDocument, h.submitter); err != nil {
			return err
		}
	}
	h.book = b
	return nil
}

// put takes in a worker, and forgets the oldest ended ones when they are many.
func (b *book) put(w Worker) {
	if w.State.Live() {
		b.live[w.ID] = w
		delete(b.ended, w.ID)
		return
	}
	delete(b.live, w.ID)
	b.ended[w.ID] = w
	if len(b.ended) > 2*historyLimit {
		for _, old := range byEnd(slices.Collect(maps.Values(b.ended)))[:historyLimit] {
			delete(b.ended, old.ID)
		}
	}
}

// store writes workers that changed, to the disk first.
func (h *Harvester) write(ctx context.Context, workers ...Worker) error {
	if err := h.store.Put(ctx, workers...); err != nil {
		return err
	}
	for _, w := range workers {
		h.book.put(w)
	}
	return nil
}

// observe takes a listing of all jobs into the book. Of those that it does not have the second source is asked.
func (h *Harvester) observe(ctx context.Context, jobs []Job) error {
	now := h.now()
	listed := make(map[string]Job, len(jobs))
	for _, j := range jobs {
		id := workerID(j.Tag, j.Index)
		if before, twice := listed[id]; !twice || !before.State.Live() {
			listed[id] = j
		}
	}
	var was, changed []Worker
	update := func(before, after Worker) {
		counted := before
		counted.Misses = after.Misses
		switch {
		case before == after:
		case counted == after && after.Misses > 1: // the first miss is worth a write, the others are kept in mind
			h.book.put(after)
		default:
			was, changed = append(was, before), append(changed, after)
		}
	}
	var missing []Worker
	for _, w := range h.book.live {
		if j, ok := listed[w.ID]; ok {
			update(w, h.heard(w.observe(j, now)))
		} else {
			missing = append(missing, w)
		}
	}
	h.strays = 0
	for id, j := range listed {
		if !j.State.Live() {
			continue
		}
		if w, known := h.book.ended[id]; known { // given up too soon, or started anew by somebody
			update(w, w.observe(j, now))
		} else if _, known := h.book.live[id]; !known && Submitter(j.Tag) == h.submitter { // others may submit here too
			h.strays++
		}
	}
	past, err := h.past(ctx, missing)
	for _, w := range missing {
		if s, ok := past[w.BatchID]; ok && !s.State.Live() {
			update(w, h.heard(w.observe(Job{ID: w.BatchID, Status: s}, now)))
			continue
		}
		update(w, h.heard(w.missed(now, h.cfg.LostAfter, h.batch.Name(), err != nil || past[w.BatchID].State != "")))
	}
	for _, w := range h.book.ended { // output may come later than the end
		if w.LastWords == nil && now.Sub(w.ChangedAt) < h.cfg.LostAfter {
			update(w, h.heard(w))
		}
	}
	if err := h.write(ctx, changed...); err != nil {
		return err // nothing has been said of it: the next look finds it again
	}
	for i, w := range changed {
		h.note(ctx, was[i], w)
	}
	return nil
}

// past asks the second source about workers that are not listed.
func (h *Harvester) past(ctx context.Context, missing []Worker) (map[string]Status, error) {
	var ids []string
	for _, w := range missing {
		if w.BatchID != "" {
			ids = append(ids, w.BatchID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	past, err := h.batch.History(ctx, ids)
	h.said(ctx, h.batch.Name()+" history", err)
	return past, err
}

// missed is a worker that a listing did not have. unsure says that the second source could not be asked, or thinks that it lives.
func (w Worker) missed(now time.Time, lostAfter time.Duration, batch string, unsure bool) Worker {
	if w.Misses++; w.MissedAt.IsZero() {
		w.MissedAt = now
	}
	limit, from := lostMisses, w.SubmittedAt
	if w.BatchID == "" {
		limit, from, unsure = unclearTries, w.IntendedAt, false
	}
	switch {
	case w.Misses < limit || now.Sub(from) < lostAfter:
		return w
	case unsure && now.Sub(w.MissedAt) < patience*lostAfter:
		return w
	}
	w.State, w.Native, w.ExitCode, w.ChangedAt = Missing, "", -1, now
	w.Reason = batch + " does not know it any more: removed by somebody, or ended while nobody looked"
	if w.BatchID == "" {
		w.Reason = "its submission got no answer, and " + batch + " does not know it"
	}
	return w
}

// heard adds the last words of a worker that has ended.
func (h *Harvester) heard(w Worker) Worker {
	if w.State.Live() || w.LastWords != nil {
		return w
	}
	if w.LastWords = lastWords(h.cfg.Jobs, w.ID); w.LastWords != nil {
		return w.explained(noCause)
	}
	return w
}

// note logs a change.
func (h *Harvester) note(ctx context.Context, before, w Worker) {
	if before.State == w.State && (w.State != Unknown || before.Native == w.Native) {
		return
	}
	attrs := []any{
		slog.String(logging.KeyWorker, w.ID), slog.String(logging.KeyBatch, w.BatchID), slog.String("state", string(w.State)), slog.String("node", w.Node),
	}
	if w.Reason != "" {
		attrs = append(attrs, slog.String("reason", w.Reason))
	}
	switch {
	case w.State == Unknown:
		if !h.unknown[w.Native] {
			h.unknown[w.Native] = true
			h.log.WarnContext(ctx, "a state that is not known; the job counts as alive", append(attrs, slog.String("native", w.Native))...)
		}
	case w.State.Live():
		h.log.InfoContext(ctx, "worker changed", attrs...)
	default:
		attrs = append(attrs, slog.Int("exit_code", w.ExitCode), slog.String("cause", w.Cause))
		if w.Failed(h.cfg.ShortLife) {
			h.log.WarnContext(ctx, "worker failed", attrs...)
			return
		}
		h.log.InfoContext(ctx, "worker ended", attrs...)
	}
}
