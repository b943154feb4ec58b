// Package textfile writes how a harvester is into a file for the textfile collector of Prometheus' node_exporter: a harvester is
// mostly on a login node, where nobody may listen for a scrape.
//
// [Store] stands around the harvester's store and sees what is written there: the file appears anew, whole, with each report.
package textfile

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// Store is a store whose reports stand in a file too.
type Store struct {
	harvester.Store

	path, site string
	log        *slog.Logger

	mu        sync.Mutex
	submitted map[string]bool // live workers, and whether the batch system has taken them
	taken     int
	ended     map[[2]string]int // by class and cause
	failing   bool
}

var _ harvester.Store = (*Store)(nil)

// Open stands around a store. A file that cannot be written is an error now, and only said later.
func Open(ctx context.Context, store harvester.Store, path, site string, log *slog.Logger) (*Store, error) {
	if !strings.HasSuffix(path, ".prom") {
		return nil, exitcode.New(exitcode.Usage, "--metrics-file %s: the collector reads only files that end in .prom", path)
	}
	s := &Store{Store: store, path: path, site: site, log: log, submitted: map[string]bool{}, ended: map[[2]string]int{}}
	live, err := store.Live(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range live {
		s.submitted[w.ID] = w.BatchID != ""
	}
	var last harvester.Report
	if _, err := store.Document(ctx, harvester.ReportDocument, &last); err != nil {
		return nil, err
	}
	if err := s.write(last); err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "--metrics-file %s: %w", path, err)
	}
	return s, nil
}

// Put counts what was submitted and what has ended.
func (s *Store) Put(ctx context.Context, workers ...harvester.Worker) error {
	if err := s.Store.Put(ctx, workers...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range workers {
		was, known := s.submitted[w.ID]
		if w.BatchID != "" && !was && (known || w.State.Live()) {
			s.taken++
		}
		switch {
		case w.State.Live():
			s.submitted[w.ID] = w.BatchID != ""
		case known:
			delete(s.submitted, w.ID)
			s.ended[[2]string{cmp.Or(string(w.Class), "unknown"), cmp.Or(w.Cause, "unknown")}]++
		}
	}
	return nil
}

// SetDocument writes the file with each report. That it cannot be written is no reason to stop.
func (s *Store) SetDocument(ctx context.Context, name string, document any) error {
	if err := s.Store.SetDocument(ctx, name, document); err != nil {
		return err
	}
	report, ok := document.(harvester.Report)
	if !ok {
		return nil
	}
	switch err := s.write(report); {
	case err != nil && !s.failing:
		s.failing = true
		s.log.WarnContext(ctx, "the file of metrics cannot be written", slog.String("file", s.path), logging.Err(err))
	case err == nil && s.failing:
		s.failing = false
		s.log.InfoContext(ctx, "the file of metrics can be written again", slog.String("file", s.path))
	}
	return nil
}

func (s *Store) write(r harvester.Report) error {
	return renameio.WriteFile(s.path, s.text(r), 0o644) //nolint:gosec // for the collector, which is another user
}

// mostRuns is how many runs are told apart.
const mostRuns = 20

func (s *Store) text(r harvester.Report) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := writer{site: s.site}
	w.metric("harvester_last_look_timestamp_seconds", "When the harvester looked last at demand and workers; it writes that at least every 10 s, or with each look.", "gauge")
	w.value(seconds(r.At))
	w.metric("harvester_wanted_workers", "Workers that are wanted, by run.", "gauge")
	alive := map[harvester.State]int{}
	rest := 0
	for i, run := range r.Runs {
		for state, n := range run.Alive {
			alive[state] += n
		}
		if i < mostRuns {
			w.value(float64(run.Wanted), "namespace", run.Namespace, "run", run.RunID)
		} else {
			rest += run.Wanted
		}
	}
	if rest > 0 {
		w.value(float64(rest), "namespace", "", "run", "other")
	}
	w.metric("harvester_workers", "Workers by state, as the batch system says.", "gauge")
	for _, state := range []harvester.State{
		harvester.Intended, harvester.Queued, harvester.Held, harvester.Running, harvester.Suspended, harvester.Ending, harvester.Unknown,
	} {
		w.value(float64(alive[state]), "state", string(state))
	}
	w.metric("harvester_workers_submitted_total", "Workers that the batch system has taken.", "counter")
	w.value(float64(s.taken))
	w.metric("harvester_workers_ended_total", "Workers that have ended or were given up, by class and cause.", "counter")
	for _, k := range sorted(s.ended) {
		w.value(float64(s.ended[k]), "class", k[0], "cause", k[1])
	}
	w.metric("harvester_draining", "Whether it was told to submit nothing.", "gauge")
	w.value(truth(r.Drain != nil))
	w.metric("harvester_failures_in_a_row", "Submissions that failed and workers that ended too soon, since the last good one.", "gauge")
	w.value(float64(r.Pause.Failures))
	w.metric("harvester_paused", "Whether nothing is submitted after failures.", "gauge")
	w.value(truth(r.Pause.Until.After(r.At)))
	w.metric("harvester_excluded_nodes", "Nodes that are kept away from.", "gauge")
	w.value(float64(len(r.Excluded)))
	w.metric("harvester_stray_jobs", "Jobs of ours in the batch system that the store does not know.", "gauge")
	w.value(float64(r.Strays))
	w.metric("harvester_trouble_since_timestamp_seconds", "Who could not be asked, and since when.", "gauge")
	for _, t := range r.Trouble {
		w.value(seconds(t.Since), "whom", t.Whom)
	}
	return w.text
}

func sorted(ended map[[2]string]int) [][2]string {
	keys := make([][2]string, 0, len(ended))
	for k := range ended {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return keys
}

// seconds are since 1970, 0 for no time at all.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
