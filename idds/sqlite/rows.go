package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/ledgertx"
)

// rows is one transaction of the writer. Each row is a statement of its own: there is no way to the file that would be worth saving.
type rows struct {
	ctx context.Context //nolint:containedctx // of one transaction
	w   *writer
}

var _ ledgertx.Rows = rows{}

// read reads one row; false when there is none.
func (r rows) read(query string, args []any, into ...any) (bool, error) {
	err := r.w.row(r.ctx, query, args, into)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, failed(err)
}

func (r rows) write(query string, args ...any) error { return failed(r.w.exec(r.ctx, query, args...)) }

func (r rows) Slices(keys []ledger.Key) ([]ledgertx.SliceRow, error) {
	out := make([]ledgertx.SliceRow, 0, len(keys))
	for _, k := range keys {
		row := ledgertx.SliceRow{Key: k}
		found, err := r.read("SELECT id, doc, message FROM slice WHERE namespace = ? AND run = ? AND identity = ?",
			[]any{k.Namespace, k.Run, k.Identity}, &row.ID, &row.Doc, &row.Message)
		if err != nil {
			return nil, err
		}
		if found {
			out = append(out, row)
		}
	}
	return out, nil
}

const upsertSlice = `INSERT INTO slice (namespace, run, identity, state, filename, pilot, class, failure, created, stf, finished, due, doc, message)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (namespace, run, identity) DO UPDATE SET state = excluded.state, filename = excluded.filename,
	pilot = excluded.pilot, class = excluded.class, failure = excluded.failure,
	created = excluded.created, stf = excluded.stf, finished = excluded.finished, due = excluded.due, doc = excluded.doc, message = excluded.message`

// updateSlice leaves alone what a slice's message has said, and with it an index.
const updateSlice = "UPDATE slice SET state = ?, pilot = ?, class = ?, failure = ?, finished = ?, due = ?, doc = ? WHERE id = ?"

func (r rows) PutSlices(list []ledgertx.SliceRow) error {
	for i := range list {
		s := &list[i]
		for _, at := range s.Requests {
			if err := r.write("INSERT OR IGNORE INTO request VALUES (?, ?, ?, ?)", s.Namespace, s.Run, at, s.Identity); err != nil {
				return err
			}
		}
		if s.ID != 0 && !s.Described {
			if err := r.write(updateSlice, string(s.State), s.Pilot, s.Class, s.Failure, s.Finished, s.Due, string(s.Doc), s.ID); err != nil {
				return err
			}
			continue
		}
		if err := r.write(upsertSlice, s.Namespace, s.Run, s.Identity, string(s.State),
			s.Filename, s.Pilot, s.Class, s.Failure, s.Created, s.STF, s.Finished, s.Due, string(s.Doc), string(s.Message)); err != nil {
			return err
		}
	}
	return nil
}

func (r rows) Requested(namespace, run string, at int64) (identity string, n int, err error) {
	_, err = r.read("SELECT count(*), coalesce(min(identity), '') FROM request WHERE namespace = ? AND run = ? AND created_at = ?",
		[]any{namespace, run, at}, &n, &identity)
	return identity, n, err
}

func (r rows) Run(namespace, run string) (doc []byte, err error) {
	_, err = r.read("SELECT doc FROM run WHERE namespace = ? AND run = ?", []any{namespace, run}, &doc)
	return doc, err
}

func (r rows) PutRun(row ledgertx.RunRow) error {
	return r.write(`INSERT INTO run (namespace, run, state, open, doc) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (namespace, run) DO UPDATE SET state = excluded.state, open = excluded.open, doc = excluded.doc`,
		row.Namespace, row.Run, string(row.State), row.Open, string(row.Doc))
}

func (r rows) DropRun(namespace, run string) error {
	for _, table := range ledgersql.TablesOfRun() {
		if err := r.write("DELETE FROM "+table+" WHERE namespace = ? AND run = ?", namespace, run); err != nil {
			return err
		}
	}
	return nil
}

func (r rows) Histograms(namespace, run string) (doc []byte, err error) {
	_, err = r.read("SELECT doc FROM histogram WHERE namespace = ? AND run = ?", []any{namespace, run}, &doc)
	return doc, err
}

func (r rows) PutHistograms(namespace, run string, doc []byte) error {
	return r.write("INSERT OR REPLACE INTO histogram VALUES (?, ?, ?)", namespace, run, string(doc))
}

func (r rows) PutWorker(row ledgertx.WorkerRow) error {
	return r.write("INSERT OR REPLACE INTO worker (namespace, pilot, worker, seen, doc) VALUES (?, ?, ?, ?, ?)",
		row.Namespace, row.Pilot, row.Worker, row.Seen, string(row.Doc))
}

func (r rows) Actors(namespace string) (docs [][]byte, err error) {
	list, err := r.w.conn.QueryContext(r.ctx, "SELECT doc FROM actor WHERE namespace = ?", namespace)
	if err != nil {
		return nil, failed(err)
	}
	defer list.Close()
	for list.Next() {
		var doc []byte
		if err := list.Scan(&doc); err != nil {
			return nil, failed(err)
		}
		docs = append(docs, doc)
	}
	return docs, failed(list.Err())
}

func (r rows) PutActor(namespace, duty, sender string, doc []byte) error {
	return r.write("INSERT OR REPLACE INTO actor VALUES (?, ?, ?, ?)", namespace, duty, sender, string(doc))
}

func (r rows) PutToken(id, hash string, doc []byte) error {
	return r.write("INSERT OR REPLACE INTO token (id, hash, doc) VALUES (?, ?, ?)", id, hash, string(doc))
}

func (r rows) AddAudit(namespace string, at int64, doc []byte) error {
	return r.write("INSERT INTO audit (namespace, at, doc) VALUES (?, ?, ?)", namespace, at, string(doc))
}

func (r rows) Document(k ledger.Kind, key []string) (doc []byte, err error) {
	_, err = r.read(ledgersql.ReadDocument(k), ledgersql.Arguments(key), &doc)
	return doc, err
}

func (r rows) PutDocument(k ledger.Kind, key []string, doc []byte) error {
	return r.write(ledgersql.WriteDocument(k), ledgersql.Arguments(key, string(doc))...)
}

func (r rows) DropDocument(k ledger.Kind, key []string) error {
	return r.write(ledgersql.DropDocument(k), ledgersql.Arguments(key)...)
}

func (r rows) Touch() error { return r.write("UPDATE name SET name = name") }
