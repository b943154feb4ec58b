package ledgertx

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/quickjson"
)

// Rows is a store within one transaction, as rows of text and numbers: all of a [ledger.Tx] that differs from technology to technology.
// Times are microseconds since 1970, 0 for none; a document that is not there is nil.
type Rows interface {
	// Slices are those of the keys that there are, in any order.
	Slices(keys []ledger.Key) ([]SliceRow, error)
	PutSlices(rows []SliceRow) error
	// Requested finds the slice with an attempt that was asked for at a time, and how many there are.
	Requested(namespace, run string, at int64) (identity string, n int, err error)
	Run(namespace, run string) (doc []byte, err error)
	PutRun(row RunRow) error
	DropRun(namespace, run string) error
	Histograms(namespace, run string) (doc []byte, err error)
	PutHistograms(namespace, run string, doc []byte) error
	PutWorker(row WorkerRow) error
	Actors(namespace string) (docs [][]byte, err error)
	PutActor(namespace, duty, sender string, doc []byte) error
	PutToken(id, hash string, doc []byte) error
	AddAudit(namespace string, at int64, doc []byte) error
	Document(k ledger.Kind, key []string) (doc []byte, err error)
	PutDocument(k ledger.Kind, key []string, doc []byte) error
	DropDocument(k ledger.Kind, key []string) error
	Tasks(f ledger.TaskFilter) ([]TaskRow, error)
	// LastTask is the highest number of a task, 0 when there is none.
	LastTask() (int64, error)
	PutTask(row TaskRow) error
	AddTaskMessage(namespace string, request int64, doc []byte) error
	CountTaskMessages(namespace string, request int64) (int, error)
	// Touch writes something that changes nothing.
	Touch() error
}

// RunRow is a run as a store has it: its document, and beside that what the store is asked for.
type RunRow struct {
	Namespace, Run string
	State          document.RunState
	Open           bool
	Doc            []byte
}

// WorkerRow is a pilot's report as a store has it. Worker is what the harvester calls it, empty when nobody did.
type WorkerRow struct {
	Pilot, Namespace, Worker string
	Seen                     int64
	Doc                      []byte
}

// Batch is a [ledger.Tx] on rows. What a transaction touches more than once (its run, its histograms, a slice and its result) is read
// once, and written once by Flush.
type Batch struct {
	rows       Rows
	slices     map[ledger.Key]*entry
	changed    []*entry
	runs       map[runKey]*ledger.Run
	histograms map[runKey]hist.Set

	dirtyRuns       map[runKey]bool
	dirtyHistograms map[runKey]bool
}

var _ ledger.Tx = (*Batch)(nil)

type runKey struct{ namespace, run string }

// NewBatch begins with nothing read and nothing to write.
func NewBatch(rows Rows) *Batch {
	return &Batch{
		rows: rows, slices: map[ledger.Key]*entry{}, runs: map[runKey]*ledger.Run{}, histograms: map[runKey]hist.Set{},
		dirtyRuns: map[runKey]bool{}, dirtyHistograms: map[runKey]bool{},
	}
}

func newRunKey(namespace, run string) runKey { return runKey{ledger.Text(namespace), ledger.Text(run)} }

// Expect reads slices in one go that the transaction will ask for.
func (b *Batch) Expect(keys []ledger.Key) error {
	missing := make([]ledger.Key, 0, len(keys))
	for _, k := range keys {
		k = k.Text()
		if _, known := b.slices[k]; !known {
			b.slices[k] = &entry{}
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := b.rows.Slices(missing)
	if err != nil {
		return err
	}
	for i := range rows {
		s, err := quickjson.Decode[ledger.Slice](rows[i].Doc)
		if err != nil {
			return unreadable(err)
		}
		s.Key, s.Message = rows[i].Key, rows[i].Message
		e := &entry{Slice: &s, id: rows[i].ID}
		e.was.filename, e.was.created, e.was.stf, e.was.message = s.Filename, s.CreatedAt, s.STFAt, s.Message
		b.slices[s.Key] = e
	}
	return nil
}

// Slice is a slice, nil when it is not known.
func (b *Batch) Slice(k ledger.Key) (*ledger.Slice, error) {
	if err := b.Expect([]ledger.Key{k}); err != nil {
		return nil, err
	}
	return b.slices[k.Text()].Slice, nil
}

// PutSlice notes a change.
func (b *Batch) PutSlice(s *ledger.Slice) error {
	s.Key = s.Key.Text()
	e := b.slices[s.Key]
	if e == nil { // it was not asked for
		e = &entry{}
		b.slices[s.Key] = e
	}
	if e.Slice = s; !e.dirty {
		e.dirty = true
		b.changed = append(b.changed, e)
	}
	return nil
}

// SliceByRequest finds what stands in the table: the slices of this transaction have to be there too.
func (b *Batch) SliceByRequest(namespace, run string, createdAt time.Time) (*ledger.Slice, error) {
	if err := b.flushSlices(); err != nil {
		return nil, err
	}
	k := newRunKey(namespace, run)
	identity, n, err := b.rows.Requested(k.namespace, k.run, createdAt.UnixMicro())
	if err != nil || n != 1 {
		return nil, err // none, or ambiguous
	}
	return b.Slice(ledger.Key{Namespace: namespace, Run: run, Identity: identity})
}

// Run is a run, nil when it is not known.
func (b *Batch) Run(namespace, run string) (*ledger.Run, error) {
	k := newRunKey(namespace, run)
	if r := b.runs[k]; r != nil {
		return r, nil
	}
	doc, err := b.rows.Run(k.namespace, k.run)
	if doc == nil || err != nil {
		return nil, err
	}
	r := &ledger.Run{Namespace: k.namespace}
	if err := decode(doc, r); err != nil {
		return nil, err
	}
	if r.Counts == nil {
		r.Counts = map[string]int64{}
	}
	b.runs[k] = r
	return r, nil
}

// PutRun notes that a run has changed.
func (b *Batch) PutRun(r *ledger.Run) error {
	k := newRunKey(r.Namespace, r.RunID.String())
	b.runs[k], b.dirtyRuns[k] = r, true
	return nil
}

// DropRun forgets a run.
func (b *Batch) DropRun(r *ledger.Run) error {
	k := newRunKey(r.Namespace, r.RunID.String())
	delete(b.runs, k)
	delete(b.dirtyRuns, k)
	delete(b.histograms, k)
	delete(b.dirtyHistograms, k)
	of := func(s ledger.Key) bool { return s.Namespace == k.namespace && s.Run == k.run }
	maps.DeleteFunc(b.slices, func(s ledger.Key, _ *entry) bool { return of(s) })
	b.changed = slices.DeleteFunc(b.changed, func(e *entry) bool { return of(e.Key) })
	return b.rows.DropRun(k.namespace, k.run)
}

// Histograms are those of a run, merged.
func (b *Batch) Histograms(namespace, run string) (hist.Set, error) {
	k := newRunKey(namespace, run)
	if set, ok := b.histograms[k]; ok {
		return set, nil
	}
	doc, err := b.rows.Histograms(k.namespace, k.run)
	if doc == nil || err != nil {
		return nil, err
	}
	var set hist.Set
	if err := decode(doc, &set); err != nil {
		return nil, err
	}
	b.histograms[k] = set
	return set, nil
}

// PutHistograms notes that the histograms of a run have changed.
func (b *Batch) PutHistograms(namespace, run string, set hist.Set) error {
	k := newRunKey(namespace, run)
	b.histograms[k], b.dirtyHistograms[k] = set, true
	return nil
}

// PutWorker writes what a pilot says of itself.
func (b *Batch) PutWorker(w document.WorkerReport, at time.Time) error {
	doc, err := encode(w)
	if err != nil {
		return err
	}
	return b.rows.PutWorker(WorkerRow{ledger.Text(w.PilotID), ledger.Text(w.Namespace), ledger.Text(w.WorkerID), at.UnixMicro(), doc})
}

// Actors are the programs of a namespace that were seen to do one of our duties.
func (b *Batch) Actors(namespace string) ([]document.Actor, error) {
	docs, err := b.rows.Actors(ledger.Text(namespace))
	if err != nil {
		return nil, err
	}
	out := make([]document.Actor, len(docs))
	for i, doc := range docs {
		if err := decode(doc, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PutActor writes such a program.
func (b *Batch) PutActor(a document.Actor) error {
	doc, err := encode(a)
	if err != nil {
		return err
	}
	return b.rows.PutActor(ledger.Text(a.Namespace), ledger.Text(a.Duty), ledger.Text(a.Sender), doc)
}

// PutToken writes a token.
func (b *Batch) PutToken(t access.Token) error {
	doc, err := encode(t)
	if err != nil {
		return err
	}
	return b.rows.PutToken(t.ID, t.Hash, doc)
}

// AddAudit writes a line of the audit.
func (b *Batch) AddAudit(a access.AuditLine) error {
	doc, err := encode(a)
	if err != nil {
		return err
	}
	return b.rows.AddAudit(ledger.Text(a.Namespace), a.At.UnixMicro(), doc)
}

// Touch writes something that changes nothing, to see whether anything can be written.
func (b *Batch) Touch() error { return b.rows.Touch() }

// Flush writes what was gathered, in the order of the keys.
func (b *Batch) Flush() error {
	if err := b.flushSlices(); err != nil {
		return err
	}
	for _, k := range inOrder(b.dirtyRuns) {
		doc, err := encode(b.runs[k])
		if err != nil {
			return err
		}
		if err := b.rows.PutRun(RunRow{k.namespace, k.run, b.runs[k].State, b.runs[k].Open(), doc}); err != nil {
			return err
		}
	}
	for _, k := range inOrder(b.dirtyHistograms) {
		doc, err := encode(b.histograms[k])
		if err != nil {
			return err
		}
		if err := b.rows.PutHistograms(k.namespace, k.run, doc); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) flushSlices() error {
	if len(b.changed) == 0 {
		return nil
	}
	slices.SortFunc(b.changed, func(x, y *entry) int {
		return cmp.Or(cmp.Compare(x.Key.Namespace, y.Key.Namespace), cmp.Compare(x.Key.Run, y.Key.Run), cmp.Compare(x.Key.Identity, y.Key.Identity))
	})
	rows := make([]SliceRow, len(b.changed))
	for i, e := range b.changed {
		var err error
		if rows[i], err = e.row(); err != nil {
			return err
		}
		e.dirty = false
	}
	b.changed = b.changed[:0]
	return b.rows.PutSlices(rows)
}

func inOrder(keys map[runKey]bool) []runKey {
	return slices.SortedFunc(maps.Keys(keys), func(a, b runKey) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.run, b.run))
	})
}

// encode writes a document for a store. What is kept of a message as it came may hold bytes that are no UTF-8, which PostgreSQL does not
// take: one message would end the service, again and again.
func encode[T any](document T) ([]byte, error) {
	doc, err := quickjson.Encode(&document)
	switch {
	case err != nil:
		return nil, exitcode.New(exitcode.StoreFailed, "encoding for the store: %w", err)
	case !utf8.Valid(doc):
		return bytes.ToValidUTF8(doc, []byte("\uFFFD")), nil
	default:
		return doc, nil
	}
}

func decode(doc []byte, into any) error {
	if err := json.Unmarshal(doc, into); err != nil {
		return unreadable(err)
	}
	return nil
}

func unreadable(err error) error {
	return exitcode.New(exitcode.StoreFailed, "reading the store: %w", err)
}
