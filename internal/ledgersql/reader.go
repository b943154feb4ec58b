package ledgersql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
)

// Reader answers what a [ledger.Store] is asked without changing it.
type Reader struct {
	db *sql.DB
	// failed gives an error of the driver its place.
	failed func(error) error
	// tx is of a moment that stands still; nil where each question is answered as things are then.
	tx *sql.Tx
}

// NewReader reads with connections of db. failed gives an error of the driver, or nil, its place in the table of failures, and says
// by [ledger.ErrUnavailable] whether it may pass.
func NewReader(db *sql.DB, failed func(error) error) Reader { return Reader{db: db, failed: failed} }

// patience is how long an answer is waited for. A server that has died without a word would keep whoever asks, and with him one of
// the few connections, until the system gives the connection up.
const patience = 30 * time.Second

// still has several questions answered as things are at one moment. What is told by state is asked for state by state: a slice that goes
// from one to another meanwhile would be in none of the answers, or in two.
func (r Reader) still(ctx context.Context, read func(r Reader) error) error {
	if r.tx != nil {
		return read(r)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return silent(ctx, r.failed(err))
	}
	defer func() { _ = tx.Rollback() }() // it was for reading
	r.tx = tx
	return read(r)
}

// silent says of an error that it comes of a store that has not answered, where that is so.
func silent(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return exitcode.New(exitcode.StoreFailed, "%w: no answer within %s: %w", ledger.ErrUnavailable, patience, err)
	}
	return err
}

// collect reads all rows of a query; scan reads one.
func collect[T any](ctx context.Context, r Reader, scan func(rows *sql.Rows) (T, error), query string, args ...any) (out []T, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	defer func() { err = silent(ctx, err) }()
	rows, err := r.query(ctx, query, args...)
	if err != nil {
		return nil, r.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, r.failed(err)
		}
		out = append(out, v)
	}
	return out, r.failed(rows.Err())
}

var errSilent = errors.New("the store is silent")

func (r Reader) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if r.tx != nil {
		return r.tx.QueryContext(ctx, query, args...)
	}
	return r.db.QueryContext(ctx, query, args...)
}

// document reads the one document of a query, nil when there is none.
func (r Reader) document(ctx context.Context, query string, args ...any) ([]byte, error) {
	docs, err := collect(ctx, r, func(rows *sql.Rows) (doc []byte, err error) { return doc, rows.Scan(&doc) }, query, args...)
	if len(docs) == 0 {
		return nil, err
	}
	return docs[0], err
}

// Runs are the runs of a namespace, all when it is empty.
func (r Reader) Runs(ctx context.Context, namespace string) ([]ledger.Run, error) {
	return collect(ctx, r, scanRun, "SELECT namespace, doc FROM run WHERE $1 IN ('', namespace) ORDER BY namespace, run", ledger.Text(namespace))
}

// OpenRuns are those of a namespace for which there is something left to be done.
//
// The index has those of all namespaces, which are few. Compared by its plain name, the namespace would have SQLite look through all of its
// runs in place of that.
func (r Reader) OpenRuns(ctx context.Context, namespace string) ([]ledger.Run, error) {
	return collect(ctx, r, scanRunWithDetector, `SELECT run.namespace, run.doc, detector.doc FROM run LEFT JOIN detector USING (namespace, run)
		WHERE open AND namespace || '' = $1 ORDER BY run`, ledger.Text(namespace))
}

func scanRun(rows *sql.Rows) (run ledger.Run, err error) {
	var doc []byte
	if err := rows.Scan(&run.Namespace, &doc); err != nil {
		return run, err
	}
	return run, json.Unmarshal(doc, &run)
}

func scanRunWithDetector(rows *sql.Rows) (run ledger.Run, err error) {
	var doc, detector []byte
	if err := rows.Scan(&run.Namespace, &doc, &detector); err != nil {
		return run, err
	}
	if len(detector) > 0 {
		if err := json.Unmarshal(detector, &run.Detector); err != nil {
			return run, err
		}
	}
	return run, json.Unmarshal(doc, &run)
}

// Tally counts a run's slices by state.
func (r Reader) Tally(ctx context.Context, namespace, run string) (of *ledger.Run, slices map[ledger.SliceState]int, err error) {
	type count struct {
		state string
		n     int
	}
	slices = map[ledger.SliceState]int{}
	err = r.still(ctx, func(r Reader) error {
		runs, err := r.runsOf(ctx, ledger.RunFilter{Namespace: namespace, Run: run, Limit: 1})
		if err != nil || len(runs) == 0 {
			return err
		}
		of = &runs[0]
		counts, err := collect(ctx, r, func(rows *sql.Rows) (c count, err error) { return c, rows.Scan(&c.state, &c.n) },
			"SELECT state, count(*) FROM slice WHERE namespace = $1 AND run = $2 GROUP BY state", ledger.Text(namespace), ledger.Text(run))
		for _, c := range counts {
			slices[ledger.SliceState(c.state)] = c.n
		}
		return err
	})
	return of, slices, err
}

// Due are slices of a namespace whose next attempt is due, and those whose sending was not confirmed.
func (r Reader) Due(ctx context.Context, namespace string, now time.Time) ([]ledger.Slice, error) {
	return r.slices(ctx, "WHERE due > 0 AND due <= $1 AND namespace = $2 ORDER BY due LIMIT 1000", now.UnixMicro(), ledger.Text(namespace))
}

// Latencies are the samples of a run: slice created -> done, and STF written -> its last slice done, for whole STFs.
func (r Reader) Latencies(ctx context.Context, namespace, run string) (ledger.Latencies, error) {
	samples := func(query string) ([]float64, error) {
		return collect(ctx, r, func(rows *sql.Rows) (float64, error) {
			var us int64
			err := rows.Scan(&us)
			return max(0, float64(us)/1e6), err
		}, query, ledger.Text(namespace), ledger.Text(run))
	}
	var l ledger.Latencies
	var serr, ferr error
	l.Slice, serr = samples("SELECT finished - created FROM slice WHERE namespace = $1 AND run = $2 AND state = 'done' AND created > 0 ORDER BY 1")
	l.STF, ferr = samples(`SELECT max(finished) - max(stf) AS took FROM slice WHERE namespace = $1 AND run = $2 AND stf > 0
		GROUP BY filename HAVING min(CASE WHEN state = 'done' THEN 1 ELSE 0 END) = 1 ORDER BY took`)
	return l, errors.Join(serr, ferr)
}

// MergedHistograms are a run's histograms.
func (r Reader) MergedHistograms(ctx context.Context, namespace, run string) (set hist.Set, err error) {
	doc, err := r.document(ctx, "SELECT doc FROM histogram WHERE namespace = $1 AND run = $2", ledger.Text(namespace), ledger.Text(run))
	if doc == nil || err != nil {
		return nil, err
	}
	return set, r.failed(json.Unmarshal(doc, &set))
}

// Workers are all pilots that ever reported.
func (r Reader) Workers(ctx context.Context, namespace string) ([]document.Worker, error) {
	return collect(ctx, r, scanWorker, "SELECT seen, doc FROM worker WHERE $1 IN ('', namespace) ORDER BY pilot, namespace", ledger.Text(namespace))
}

func scanWorker(rows *sql.Rows) (w document.Worker, err error) {
	var seen int64
	var doc []byte
	if err := rows.Scan(&seen, &doc); err != nil {
		return w, err
	}
	w.LastSeen = time.UnixMicro(seen).UTC()
	return w, json.Unmarshal(doc, &w.WorkerReport)
}

// Actors are the programs that were seen to do one of idds' duties, in all namespaces when none is given.
func (r Reader) Actors(ctx context.Context, namespace string) ([]document.Actor, error) {
	return collect(ctx, r, func(rows *sql.Rows) (a document.Actor, err error) {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return a, err
		}
		return a, json.Unmarshal(doc, &a)
	}, "SELECT doc FROM actor WHERE $1 IN ('', namespace) ORDER BY namespace, duty, sender", ledger.Text(namespace))
}

// recent is of how many slices the rates are: of all it would take long in a store of years.
const recent = 100_000

// Facts count what is in the store. hold is the query, in the database's own words, of the longest processing time in the documents
// of the latest slices, whose number is its argument.
func (r Reader) Facts(ctx context.Context, facts *ledger.StoreFacts, hold string) error {
	err := r.db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM slice)").Scan(&facts.Runs, &facts.Slices)
	if err != nil {
		return r.failed(err)
	}
	// Results come in bursts, so the rate is that of the fullest ten seconds.
	var most int64
	var longest float64
	err = r.db.QueryRowContext(ctx, `SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM
		(SELECT finished FROM slice ORDER BY id DESC LIMIT $1) AS latest WHERE finished > 0 GROUP BY finished / 10000000) AS tens`, recent).Scan(&most)
	if err == nil {
		err = r.db.QueryRowContext(ctx, hold, recent).Scan(&longest)
	}
	if err != nil {
		return r.failed(fmt.Errorf("measuring rates: %w", err))
	}
	facts.PeakRate, facts.LongestHold = float64(most)/10, time.Duration(longest*float64(time.Second))
	facts.Namespaces, err = r.namespaces(ctx)
	if err != nil {
		return err
	}
	workers, err := r.Workers(ctx, "")
	if err != nil {
		return err
	}
	for _, w := range workers {
		if time.Since(w.LastSeen) < 24*time.Hour {
			facts.Workers = append(facts.Workers, w)
		}
	}
	if facts.Tokens, err = r.Tokens(ctx); err != nil {
		return err
	}
	facts.Actors, err = r.Actors(ctx, "")
	return err
}
