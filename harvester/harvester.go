package harvester

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// Config is how a harvester behaves.
type Config struct {
	// Jobs is the folder of the workers' folders.
	Jobs string `toml:"-"`
	// Namespace keeps demands of others out; all when empty.
	Namespace  string        `toml:"namespace" help:"only runs of this namespace"`
	Interval   time.Duration `toml:"interval" help:"time between two looks at demand and workers (default: 1s for local pilots, else 30s)"`
	MaxWorkers int           `toml:"max_workers" default:"100" help:"pilots alive at most, over all runs"`
	MaxSubmit  int           `toml:"max_submit" default:"20" help:"pilots submitted at most in one look"`
	// ShortLife and MaxBackoff: a pilot that fails at once is not to be started thousands of times.
	ShortLife  time.Duration `toml:"short_life" default:"30s" help:"a pilot that failed sooner counts as a failed submission"`
	MaxBackoff time.Duration `toml:"max_backoff" default:"5m" help:"longest pause after failed submissions; the first is a second"`
}

// Pilot is a submission of pilots for a run, but for what the harvester adds: Tag, Count, Dir, Exclude.
type Pilot func(run, namespace string) Submission

// Harvester keeps workers alive. Make it with New and run it once.
type Harvester struct {
	cfg    Config
	demand Demand
	batch  BatchSystem
	store  Store
	pilot  Pilot
	log    *slog.Logger
	now    func() time.Time

	failures   int       // in a row
	lastFailed time.Time // when the last of them was noted
	notUntil   time.Time
	trouble    map[string]string // last said, by what was asked
}

// New makes a harvester.
func New(demand Demand, batch BatchSystem, store Store, pilot Pilot, log *slog.Logger, cfg Config) *Harvester {
	config.Defaults(&cfg)
	cfg.Interval = cmp.Or(cfg.Interval, time.Second)
	if log == nil {
		log = logging.Discard()
	}
	return &Harvester{cfg: cfg, demand: demand, batch: batch, store: store, pilot: pilot, log: log, now: time.Now, trouble: map[string]string{}}
}

// Run reconciles until ctx ends, then returns nil; what runs in the batch system runs on. An error is the store's.
func (h *Harvester) Run(ctx context.Context) error {
	t := time.NewTicker(h.cfg.Interval)
	defer t.Stop()
	for {
		if err := h.Reconcile(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Reconcile looks once: what lives, what is wanted, what is missing. A batch system or an idds that cannot be asked changes
// nothing; the error is the store's.
func (h *Harvester) Reconcile(ctx context.Context) error {
	live, err := h.store.Live(ctx)
	if err != nil {
		return err
	}
	asked, err := h.refresh(ctx, live)
	if err != nil || !asked {
		return err
	}
	wanted, err := h.demand.Demand(ctx)
	if !h.said(ctx, "idds", err) {
		return nil
	}
	total := 0
	alive := map[[2]string]int{}
	for _, w := range live {
		if w.State.Live() {
			alive[[2]string{w.Namespace, w.RunID}]++
			total++
		}
	}
	budget := h.cfg.MaxSubmit
	for _, d := range wanted.Demands {
		if h.cfg.Namespace != "" && d.Namespace != h.cfg.Namespace {
			continue
		}
		k := [2]string{d.Namespace, d.RunID}
		switch missing := d.Wanted - alive[k]; {
		case missing > 0:
			n := min(missing, budget, h.cfg.MaxWorkers-total)
			if n <= 0 || h.now().Before(h.notUntil) {
				continue
			}
			if err := h.submit(ctx, d, n); err != nil {
				return err
			}
			total += n
			budget -= n
		case missing < 0:
			if err := h.withdraw(ctx, live, k, -missing); err != nil {
				return err
			}
		}
	}
	return nil
}

// Settle notes what became of the workers, and submits nothing: the last look, when the batch system has ended with us.
func (h *Harvester) Settle(ctx context.Context) error {
	live, err := h.store.Live(ctx)
	if err != nil {
		return err
	}
	_, err = h.refresh(ctx, live)
	return err
}

// refresh asks the batch system about the live workers and notes what changed. asked is false when it could not be asked.
func (h *Harvester) refresh(ctx context.Context, live []Worker) (asked bool, err error) {
	jobs, err := h.batch.Queue(ctx)
	if !h.said(ctx, h.batch.Name(), err) {
		return false, nil
	}
	known := make(map[string]Status, len(jobs))
	ids := make(map[string]string, len(jobs)) // of the workers
	for _, j := range jobs {
		known[j.ID] = j.Status
		ids[workerID(j.Tag, j.Index)] = j.ID
	}
	var gone []string
	for i := range live {
		if live[i].BatchID == "" { // we did not live to hear of its submission
			live[i].BatchID = ids[live[i].ID]
		}
		if _, ok := known[live[i].BatchID]; !ok && live[i].BatchID != "" {
			gone = append(gone, live[i].BatchID)
		}
	}
	if len(gone) > 0 {
		past, err := h.batch.History(ctx, gone)
		if !h.said(ctx, h.batch.Name(), err) {
			return false, nil
		}
		maps.Copy(known, past)
	}
	var changed []Worker
	for i := range live {
		w := &live[i]
		before := *w
		if s, ok := known[w.BatchID]; ok {
			w.State, w.Node, w.ExitCode, w.Reason, w.StartedAt, w.EndedAt = s.State, s.Node, s.ExitCode, s.Reason, s.StartedAt, s.EndedAt
		} else {
			w.State, w.Reason, w.EndedAt, w.ExitCode = Missing, h.batch.Name()+" does not know it", h.now().UTC(), -1
		}
		if *w != before {
			changed = append(changed, *w)
			h.note(ctx, *w)
		}
	}
	return true, h.store.Put(ctx, changed...)
}

// workerID is our name for a job.
func workerID(tag string, index int) string { return fmt.Sprintf("%s.%d", tag, index) }

// note logs a change and keeps count of pilots that fail at once.
func (h *Harvester) note(ctx context.Context, w Worker) {
	attrs := []any{slog.String("worker", w.ID), slog.String("batch_id", w.BatchID), slog.String("state", string(w.State))}
	if w.State.Live() {
		h.log.InfoContext(ctx, "worker changed", attrs...)
		return
	}
	attrs = append(attrs, slog.Int("exit_code", w.ExitCode), slog.String("reason", w.Reason))
	f, known := exitcode.ByCode(w.ExitCode)
	// An empty queue is no fault of the node, and neither is being told to go.
	normal := known && (f == exitcode.OK || f == exitcode.IdleTimeout || f == exitcode.NoFirstSlice || f == exitcode.Interrupted)
	if normal {
		h.failures = 0
		h.log.InfoContext(ctx, "worker ended", attrs...)
		return
	}
	h.log.WarnContext(ctx, "worker failed", attrs...)
	if !w.StartedAt.IsZero() && w.EndedAt.Sub(w.StartedAt) >= h.cfg.ShortLife {
		h.failures = 0
		return
	}
	started := w.StartedAt
	if started.IsZero() {
		started = w.SubmittedAt
	}
	h.failed(ctx, started)
}

// failed lengthens the pause before the next submission. The pause bounds how often pilots are started, so it counts from the
// start of the one that failed: who lived longer is replaced at once. And one that was started before the last failure says
// nothing new: a crash takes several together.
func (h *Harvester) failed(ctx context.Context, started time.Time) {
	if started.Before(h.lastFailed) {
		return
	}
	pause := min(h.cfg.MaxBackoff, time.Second<<min(h.failures, 20))
	h.failures++
	h.lastFailed, h.notUntil = h.now(), started.Add(pause)
	if h.failures > 1 {
		h.log.WarnContext(ctx, "pilots fail; waiting before the next", slog.Int("failures", h.failures), slog.Duration("pause", pause))
	}
}

// submit starts pilots for a run: intent first, so that a crash leaves a tag to look for.
func (h *Harvester) submit(ctx context.Context, d message.RunDemand, n int) error {
	s := h.pilot(d.RunID, d.Namespace)
	s.Tag, s.Count, s.Dir = TagPrefix+strings.ToLower(rand.Text()[:10]), n, h.cfg.Jobs
	workers := make([]Worker, n)
	for i := range workers {
		workers[i] = Worker{
			ID: workerID(s.Tag, i), Tag: s.Tag, RunID: d.RunID, Namespace: d.Namespace, State: Intended, IntendedAt: h.now().UTC(),
		}
	}
	if err := h.store.Put(ctx, workers...); err != nil {
		return err
	}
	ids, err := h.batch.Submit(ctx, s)
	for i := range workers {
		w := &workers[i]
		if i < len(ids) {
			w.BatchID, w.State, w.SubmittedAt = ids[i], Queued, h.now().UTC()
		} else {
			w.State, w.ExitCode, w.EndedAt = Missing, -1, h.now().UTC()
			w.Reason = "not submitted: " + errors.Join(err).Error()
		}
	}
	if err != nil {
		h.log.WarnContext(ctx, "submitting failed", slog.String("tag", s.Tag), slog.Int("wanted", n), slog.Int("submitted", len(ids)), logging.Err(err))
		h.failed(ctx, h.now())
	} else {
		h.log.InfoContext(ctx, "pilots submitted", slog.String("tag", s.Tag), slog.Int("count", n), slog.String(logging.KeyRun, d.RunID),
			slog.String("reason", d.Reason))
	}
	return h.store.Put(ctx, workers...)
}

// withdraw cancels what is queued beyond the demand; what runs is let finish, because it knows best when its run is over.
func (h *Harvester) withdraw(ctx context.Context, live []Worker, k [2]string, n int) error {
	var ids []string
	for _, w := range live {
		if w.State == Queued && [2]string{w.Namespace, w.RunID} == k && len(ids) < n {
			ids = append(ids, w.BatchID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	h.said(ctx, h.batch.Name(), h.batch.Cancel(ctx, ids))
	return nil
}

// said logs trouble with somebody when it is new, and when it is over; ok means that there is none.
func (h *Harvester) said(ctx context.Context, whom string, err error) (ok bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != h.trouble[whom] && ctx.Err() == nil {
		if err != nil {
			h.log.WarnContext(ctx, "cannot ask", slog.String("whom", whom), logging.Err(err))
		} else {
			h.log.InfoContext(ctx, "can ask again", slog.String("whom", whom))
		}
		h.trouble[whom] = text
	}
	return err == nil
}
