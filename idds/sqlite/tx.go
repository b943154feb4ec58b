package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// tx is one transaction. What a batch touches more than once (its run, its histograms, a slice and its result) is read once and
// written once, at the end.
type tx struct {
	ctx        context.Context
	w          *writer
	slices     map[ledger.Key]*ledger.Slice
	runs       map[runKey]*ledger.Run
	histograms map[runKey]hist.Set

	dirtySlices     map[ledger.Key]bool
	dirtyRuns       map[runKey]bool
	dirtyHistograms map[runKey]bool
}

type runKey struct{ namespace, run string }

func newTx(ctx context.Context, w *writer) *tx {
	return &tx{
		ctx: ctx, w: w, slices: map[ledger.Key]*ledger.Slice{}, runs: map[runKey]*ledger.Run{}, histograms: map[runKey]hist.Set{},
		dirtySlices: map[ledger.Key]bool{}, dirtyRuns: map[runKey]bool{}, dirtyHistograms: map[runKey]bool{},
	}
}

// read reads one row; false when there is none.
func (t *tx) read(query string, args []any, into ...any) (bool, error) {
	err := t.w.row(t.ctx, query, args, into)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, failed(err)
}

func (t *tx) write(query string, args ...any) error {
	if err := t.w.exec(t.ctx, query, args...); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the store: %w", err)
	}
	return nil
}

// put writes a row whose last column is a document.
func (t *tx) put(document any, query string, args ...any) error {
	doc, err := json.Marshal(document)
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "encoding for the store: %w", err)
	}
	return t.write(query, append(args, string(doc))...)
}

func (t *tx) Slice(k ledger.Key) (*ledger.Slice, error) {
	if s := t.slices[k]; s != nil {
		return s, nil
	}
	s := ledger.Slice{Key: k}
	var doc []byte
	found, err := t.read("SELECT doc, message FROM slice WHERE namespace = ? AND run = ? AND identity = ?",
		[]any{k.Namespace, k.Run, k.Identity}, &doc, (*[]byte)(&s.Message))
	if !found || err != nil {
		return nil, err
	}
	if err := json.Unmarshal(doc, &s); err != nil {
		return nil, failed(err)
	}
	t.slices[k] = &s
	return &s, nil
}

func (t *tx) PutSlice(s *ledger.Slice) error {
	t.slices[s.Key], t.dirtySlices[s.Key] = s, true
	return nil
}

// flushSlices writes the slices in the order of their keys, which is that of the table.
func (t *tx) flushSlices() error {
	keys := slices.SortedFunc(maps.Keys(t.dirtySlices), func(a, b ledger.Key) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Run, b.Run), cmp.Compare(a.Identity, b.Identity))
	})
	for _, k := range keys {
		if err := t.writeSlice(t.slices[k]); err != nil {
			return err
		}
	}
	clear(t.dirtySlices)
	return nil
}

const upsertSlice = `INSERT INTO slice (namespace, run, identity, state, filename, created, stf, finished, due, doc, message)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (namespace, run, identity) DO UPDATE SET state = excluded.state, filename = excluded.filename,
	created = excluded.created, stf = excluded.stf, finished = excluded.finished, due = excluded.due, doc = excluded.doc, message = excluded.message`

func (t *tx) writeSlice(s *ledger.Slice) error {
	k := s.Key
	due := int64(0)
	switch {
	case s.Unsent != 0:
		due = 1
	case s.State == ledger.Waiting && len(s.Message) > 0: // without its message it waits for that, and stands in nobody's way
		due = micros(s.RetryAt)
	}
	for i := range s.Attempts {
		a := &s.Attempts[i]
		// A dead letter may be lost in the transaction that it comes in.
		if a.State != "sent" && a.State != "lost" || a.CreatedAt.IsZero() {
			continue
		}
		if err := t.write("INSERT OR IGNORE INTO request VALUES (?, ?, ?, ?)", k.Namespace, k.Run, a.CreatedAt.UnixMicro(), k.Identity); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(s)
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "encoding for the store: %w", err)
	}
	return t.write(upsertSlice, k.Namespace, k.Run, k.Identity, string(s.State),
		s.Filename, micros(s.CreatedAt), micros(s.STFAt), micros(s.FinishedAt), due, string(doc), string(s.Message))
}

// micros is a time as the store has it: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// SliceByRequest finds what stands in the table: the slices of this transaction have to be there too.
func (t *tx) SliceByRequest(namespace, run string, createdAt time.Time) (*ledger.Slice, error) {
	if err := t.flushSlices(); err != nil {
		return nil, err
	}
	var n int
	var identity string
	if _, err := t.read("SELECT count(*), coalesce(min(identity), '') FROM request WHERE namespace = ? AND run = ? AND created_at = ?",
		[]any{namespace, run, createdAt.UnixMicro()}, &n, &identity); err != nil || n != 1 {
		return nil, err // none, or ambiguous
	}
	return t.Slice(ledger.Key{Namespace: namespace, Run: run, Identity: identity})
}

func (t *tx) Run(namespace, run string) (*ledger.Run, error) {
	key := runKey{namespace, run}
	if r := t.runs[key]; r != nil {
		return r, nil
	}
	var doc []byte
	found, err := t.read("SELECT doc FROM run WHERE namespace = ? AND run = ?", []any{namespace, run}, &doc)
	if !found || err != nil {
		return nil, err
	}
	r := &ledger.Run{Namespace: namespace}
	if err := json.Unmarshal(doc, r); err != nil {
		return nil, failed(err)
	}
	if r.Counts == nil {
		r.Counts = map[string]int64{}
	}
	t.runs[key] = r
	return r, nil
}

func (t *tx) PutRun(r *ledger.Run) error {
	key := runKey{r.Namespace, r.RunID.String()}
	t.runs[key], t.dirtyRuns[key] = r, true
	return nil
}

func (t *tx) Histograms(namespace, run string) (hist.Set, error) {
	key := runKey{namespace, run}
	if set, ok := t.histograms[key]; ok {
		return set, nil
	}
	var doc []byte
	found, err := t.read("SELECT doc FROM histogram WHERE namespace = ? AND run = ?", []any{namespace, run}, &doc)
	if !found || err != nil {
		return nil, err
	}
	var set hist.Set
	if err := json.Unmarshal(doc, &set); err != nil {
		return nil, failed(err)
	}
	t.histograms[key] = set
	return set, nil
}

func (t *tx) PutHistograms(namespace, run string, set hist.Set) error {
	key := runKey{namespace, run}
	t.histograms[key], t.dirtyHistograms[key] = set, true
	return nil
}

func (t *tx) PutWorker(w message.WorkerReport, at time.Time) error {
	return t.put(w, "INSERT OR REPLACE INTO worker VALUES (?, ?, ?, ?)", w.PilotID, w.Namespace, at.UnixMicro())
}

func (t *tx) Actors(namespace string) ([]message.ActorDocument, error) {
	rows, err := t.w.conn.QueryContext(t.ctx, "SELECT doc FROM actor WHERE namespace = ?", namespace)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	return actors(rows)
}

func (t *tx) PutActor(a message.ActorDocument) error {
	return t.put(a, "INSERT OR REPLACE INTO actor VALUES (?, ?, ?, ?)", a.Namespace, a.Duty, a.Sender)
}

// flush writes what was gathered.
func (t *tx) flush() error {
	if err := t.flushSlices(); err != nil {
		return err
	}
	for key := range t.dirtyRuns {
		r := t.runs[key]
		if err := t.put(r, "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?)", key.namespace, key.run, r.Open()); err != nil {
			return err
		}
	}
	for key := range t.dirtyHistograms {
		if err := t.put(t.histograms[key], "INSERT OR REPLACE INTO histogram VALUES (?, ?, ?)", key.namespace, key.run); err != nil {
			return err
		}
	}
	return nil
}
