package harvester

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// noCause is the batch system's when it tells none.
var noCause exitcode.Failure

// Pilot is a submission of pilots for a run, but for what the harvester adds: Tag, Count, Dir, Exclude.
type Pilot func(run, namespace string) Submission

// Parts are what a harvester works with. Logger may be nil.
type Parts struct {
	Demand Demand
	Batch  BatchSystem
	Store  Store
	Pilot  Pilot
	Logger *slog.Logger
}

// Harvester keeps workers alive. Make it with New and run it once.
type Harvester struct {
	cfg    Config
	demand Demand
	batch  BatchSystem
	store  Store
	pilot  Pilot
	log    *slog.Logger
	now    func() time.Time

	book      *book // nil until it has been read
	submitter string
	strays    int // jobs of ours that the book does not know
	unknown   map[string]bool
	trouble   []Trouble
	report    Report // as it was written last
	pruned    time.Time
}

// New makes a harvester.
func New(p Parts, cfg Config) *Harvester {
	config.Defaults(&cfg)
	cfg.Interval = cmp.Or(cfg.Interval, time.Second)
	cfg.LostAfter = cmp.Or(cfg.LostAfter, 2*time.Minute)
	if p.Logger == nil {
		p.Logger = logging.Discard()
	}
	return &Harvester{
		cfg: cfg, demand: p.Demand, batch: p.Batch, store: p.Store, pilot: p.Pilot, log: p.Logger,
		now: func() time.Time { return time.Now().UTC() }, unknown: map[string]bool{},
	}
}

// Run reconciles until ctx ends, then returns nil; what runs in the batch system runs on. An error is that of a store that cannot
// be read at the start. One that fails later, as on a disk that is full, is tried again at each look: what could not be written
// down is either not done, or found in the next listing by its tag, as after a crash.
func (h *Harvester) Run(ctx context.Context) error {
	t := time.NewTicker(h.cfg.Interval)
	defer t.Stop()
	failing := false
	for {
		err := h.Reconcile(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil && failing:
			failing = false
			h.log.InfoContext(ctx, "the state can be written again")
		case err == nil:
		case h.book == nil:
			return err
		case !failing:
			failing = true
			h.log.ErrorContext(ctx, "the state cannot be written; trying again at each look", logging.Err(err), slog.String("next", exitcode.Next(err)))
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Reconcile looks once: what lives, what is wanted, what is missing or too much. It asks the batch system for one listing, and
// submits and cancels by one command each at most. Whoever cannot be asked changes nothing; the error is the store's.
func (h *Harvester) Reconcile(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	listed, err := h.refresh(ctx)
	if err != nil {
		return err
	}
	var drain Drain
	draining, err := h.store.Document(ctx, DrainDocument, &drain)
	if err != nil {
		return err
	}
	wanted, derr := h.demand.Demand(ctx)
	s := snapshot{cfg: h.cfg, now: h.now(), asked: h.said(ctx, "idds", derr), drain: draining}
	ended := h.count(&s)
	for _, d := range wanted.Demands {
		if h.cfg.Namespace == "" || d.Namespace == h.cfg.Namespace {
			s.demands = append(s.demands, d)
		}
	}
	bad := badNodes(ended, s.live, h.cfg, s.now)
	var p plan
	if listed {
		p = decide(s)
		if err := h.cancel(ctx, p.cancel); err != nil {
			return err
		}
		if p.count > 0 {
			if _, err := h.submit(ctx, p.submit, p.count, bad); err != nil {
				return err
			}
			h.count(&s) // so that the report has what was submitted, or why it was not
		}
		if err := h.prune(ctx); err != nil {
			return err
		}
	} else {
		p.why = []string{h.batch.Name() + " could not be asked, so nothing is submitted or cancelled"}
	}
	return h.publish(ctx, s, p, bad, drain)
}

// count takes into s what lives, and the pause that what has ended, which it returns, calls for.
func (h *Harvester) count(s *snapshot) (ended []Worker) {
	ended = slices.Collect(maps.Values(h.book.ended))
	s.live, s.pause = slices.SortedFunc(maps.Values(h.book.live), newestFirst), pauseAfter(ended, h.cfg)
	return ended
}

func newestFirst(a, b Worker) int {
	return cmp.Or(b.IntendedAt.Compare(a.IntendedAt), cmp.Compare(a.ID, b.ID))
}

// Settle notes what became of the workers, and submits nothing: the last look, when the batch system has ended with us.
func (h *Harvester) Settle(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	_, err := h.refresh(ctx)
	return err
}

// Submit submits pilots for a run once, whoever wants them, and returns their workers.
func (h *Harvester) Submit(ctx context.Context, run, namespace string, n int) ([]Worker, error) {
	if err := h.load(ctx); err != nil {
		return nil, err
	}
	bad := badNodes(slices.Collect(maps.Values(h.book.ended)), slices.Collect(maps.Values(h.book.live)), h.cfg, h.now())
	return h.submit(ctx, document.RunDemand{RunID: run, Namespace: namespace, Reason: "asked for by hand"}, n, bad)
}

// refresh asks the batch system about all jobs. listed is false when it could not be asked.
func (h *Harvester) refresh(ctx context.Context) (listed bool, err error) {
	jobs, err := h.batch.Queue(ctx)
	if !h.said(ctx, h.batch.Name(), err) {
		return false, nil
	}
	return true, h.observe(ctx, jobs)
}

// submit starts pilots for a run: intent first, so that a crash leaves a tag to look for.
func (h *Harvester) submit(ctx context.Context, d document.RunDemand, n int, bad []BadNode) ([]Worker, error) {
	s := h.pilot(d.RunID, d.Namespace)
	s.Tag, s.Count, s.Dir = TagPrefix+h.submitter+"-"+random(10), n, h.cfg.Jobs
	s.Env = append(slices.Clone(s.Env), EnvSubmittedAt+"="+h.now().Format(time.RFC3339Nano))
	for _, b := range bad {
		s.Exclude = append(s.Exclude, b.Node)
	}
	workers := make([]Worker, n)
	for i := range workers {
		workers[i] = Worker{
			ID: workerID(s.Tag, i), Tag: s.Tag, RunID: d.RunID, Namespace: d.Namespace, State: Intended, IntendedAt: h.now(), ChangedAt: h.now(),
		}
	}
	if err := h.write(ctx, workers...); err != nil {
		return nil, err
	}
	ids, err := h.batch.Submit(ctx, s)
	if err == nil && len(ids) != n {
		err = fmt.Errorf("%s answered with %d ids for %d pilots: %w", h.batch.Name(), len(ids), n, ErrUnclear)
	}
	for i := range workers {
		switch w := &workers[i]; {
		case i < len(ids):
			w.BatchID, w.State, w.SubmittedAt, w.ChangedAt = ids[i], Queued, h.now(), h.now()
		case errors.Is(err, ErrUnclear) || ctx.Err() != nil: // the listings will tell
			w.Reason = logging.Redact(err.Error())
		default:
			f := exitcode.From(err)
			w.State, w.ExitCode, w.ChangedAt, w.Reason = Missing, -1, h.now(), "not submitted: "+logging.Redact(err.Error())
			w.Cause, w.Class, w.CauseFrom = f.Name, f.Class, FromBatch
		}
	}
	attrs := []any{slog.String("tag", s.Tag), slog.Int("wanted", n), slog.Int("submitted", len(ids)), slog.String(logging.KeyRun, d.RunID)}
	if err != nil {
		h.log.WarnContext(ctx, "submitting failed", append(attrs, logging.Err(err), slog.String("next", exitcode.Next(err)))...)
	} else {
		h.log.InfoContext(ctx, "pilots submitted", append(attrs, slog.String("reason", d.Reason))...)
	}
	h.trouble = settled(h.trouble, "submitting to "+h.batch.Name(), err, h.now())
	// What the batch system has taken is written down even when we are told to end meanwhile.
	return workers, h.write(context.WithoutCancel(ctx), workers...)
}

// cancel ends workers by one command. It is noted after the command: should we die in between, the next listing says whether
// they still wait.
func (h *Harvester) cancel(ctx context.Context, workers []Worker) error {
	if len(workers) == 0 {
		return nil
	}
	ids := make([]string, len(workers))
	for i, w := range workers {
		ids[i] = w.BatchID
		h.log.InfoContext(ctx, "worker cancelled", slog.String(logging.KeyWorker, w.ID), slog.String(logging.KeyBatch, w.BatchID), slog.String("reason", w.Cancel.Why))
	}
	if !h.said(ctx, h.batch.Name()+" cancel", h.batch.Cancel(ctx, ids)) {
		return nil
	}
	return h.write(context.WithoutCancel(ctx), workers...)
}

// prune forgets, now and then, what ended long ago, and removes its folders.
func (h *Harvester) prune(ctx context.Context) error {
	now := h.now()
	if now.Sub(h.pruned) < min(h.cfg.Keep, time.Hour) {
		return nil
	}
	h.pruned = now
	tags, err := h.store.Prune(ctx, now.Add(-h.cfg.Keep))
	if err != nil {
		return err
	}
	for _, tag := range tags {
		maps.DeleteFunc(h.book.ended, func(_ string, w Worker) bool { return w.Tag == tag })
		if h.cfg.Jobs == "" || !strings.HasPrefix(tag, TagPrefix) {
			continue
		}
		left, err := fs.Glob(os.DirFS(h.cfg.Jobs), tag+"*")
		for _, name := range left {
			err = errors.Join(err, os.RemoveAll(filepath.Join(h.cfg.Jobs, name)))
		}
		if err != nil {
			h.log.WarnContext(ctx, "a folder could not be removed", slog.String("tag", tag), logging.Err(err))
		}
	}
	return nil
}

// said keeps what trouble there is with somebody, and logs it when it is new and when it is over; ok means that there is none.
func (h *Harvester) said(ctx context.Context, whom string, err error) (ok bool) {
	if ctx.Err() != nil {
		return err == nil
	}
	before := h.trouble
	h.trouble = settled(h.trouble, whom, err, h.now())
	was := troubleWith(before, whom)
	switch {
	case err != nil && was.Text != err.Error():
		h.log.WarnContext(ctx, "cannot ask", slog.String("whom", whom), logging.Err(err), slog.String("next", exitcode.Next(err)))
	case err == nil && was.Whom != "":
		h.log.InfoContext(ctx, "can ask again", slog.String("whom", whom))
	}
	return err == nil
}

// random is a word of lower-case letters and digits.
func random(n int) string { return strings.ToLower(rand.Text()[:n]) }
