package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/ledgertx"
)

// rows is one transaction. What is many goes as columns of arrays: one way to the server, and one statement to plan.
type rows struct {
	ctx context.Context //nolint:containedctx // of one transaction
	tx  pgx.Tx
}

var _ ledgertx.Rows = rows{}

func (r rows) exec(query string, args ...any) error {
	_, err := r.tx.Exec(r.ctx, query, args...)
	if err != nil {
		err = fmt.Errorf("writing: %w", err)
	}
	return failed(err)
}

// document reads the one document of a query, nil when there is none.
func (r rows) document(query string, args ...any) (doc []byte, err error) {
	err = r.tx.QueryRow(r.ctx, query, args...).Scan(&doc)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return doc, failed(err)
}

// findSlices goes to each slice by the index of its key: no other has this order, and one row of it is read. An equality would do in
// theory; but a plan is made while the table is small, and the server takes then whatever index has two of the three columns, and reads
// the whole run in it for each slice, until somebody analyzes the table.
const findSlices = `SELECT found.namespace, found.run, found.identity, found.doc, found.message
	FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (namespace, run, identity), LATERAL (
		SELECT namespace, run, identity, doc, message FROM slice
		WHERE (namespace, run, identity) >= (wanted.namespace, wanted.run, wanted.identity) ORDER BY namespace, run, identity LIMIT 1) AS found
	WHERE found.namespace = wanted.namespace AND found.run = wanted.run AND found.identity = wanted.identity`

func (r rows) Slices(keys []ledger.Key) ([]ledgertx.SliceRow, error) {
	namespaces, runs, identities := make([]string, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		namespaces[i], runs[i], identities[i] = k.Namespace, k.Run, k.Identity
	}
	found, err := r.tx.Query(r.ctx, findSlices, namespaces, runs, identities)
	if err != nil {
		return nil, failed(err)
	}
	out, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (s ledgertx.SliceRow, err error) {
		return s, row.Scan(&s.Namespace, &s.Run, &s.Identity, &s.Doc, &s.Message)
	})
	return out, failed(err)
}

const upsertSlices = `INSERT INTO slice (namespace, run, identity, state, filename, pilot, class, failure, created, stf, finished, due, doc, message)
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
	$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bytea[])
	ON CONFLICT (namespace, run, identity) DO UPDATE SET state = excluded.state, filename = excluded.filename,
	pilot = excluded.pilot, class = excluded.class, failure = excluded.failure,
	created = excluded.created, stf = excluded.stf, finished = excluded.finished, due = excluded.due, doc = excluded.doc, message = excluded.message`

func (r rows) PutSlices(list []ledgertx.SliceRow) error {
	n := len(list)
	namespaces, runs, identities, states, filenames, docs := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	pilots, classes, failures := make([]string, n), make([]string, n), make([]string, n)
	created, stf, finished, due := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	messages := make([][]byte, n)
	var asked requests
	for i := range list {
		s := &list[i]
		namespaces[i], runs[i], identities[i], states[i], filenames[i] = s.Namespace, s.Run, s.Identity, string(s.State), s.Filename
		pilots[i], classes[i], failures[i] = s.Pilot, s.Class, s.Failure
		created[i], stf[i], finished[i], due[i] = s.Created, s.STF, s.Finished, s.Due
		docs[i], messages[i] = string(s.Doc), append([]byte{}, s.Message...) // never null
		asked.add(s)
	}
	if err := r.putRequests(asked); err != nil {
		return err
	}
	return r.exec(upsertSlices, namespaces, runs, identities, states, filenames, pilots, classes, failures, created, stf, finished, due, docs, messages)
}

// requests are when attempts were asked for, column by column.
type requests struct {
	namespaces, runs, identities []string
	at                           []int64
}

func (a *requests) add(s *ledgertx.SliceRow) {
	for _, at := range s.Requests {
		a.namespaces, a.runs, a.identities, a.at = append(a.namespaces, s.Namespace), append(a.runs, s.Run), append(a.identities, s.Identity), append(a.at, at)
	}
}

func (r rows) putRequests(a requests) error {
	if len(a.at) == 0 {
		return nil
	}
	return r.exec(`INSERT INTO request (namespace, run, created_at, identity)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING`, a.namespaces, a.runs, a.at, a.identities)
}

func (r rows) Requested(namespace, run string, at int64) (identity string, n int, err error) {
	err = r.tx.QueryRow(r.ctx, "SELECT count(*), coalesce(min(identity), '') FROM request WHERE namespace = $1 AND run = $2 AND created_at = $3",
		namespace, run, at).Scan(&n, &identity)
	return identity, n, failed(err)
}

func (r rows) Run(namespace, run string) ([]byte, error) {
	return r.document("SELECT doc FROM run WHERE namespace = $1 AND run = $2", namespace, run)
}

func (r rows) PutRun(row ledgertx.RunRow) error {
	return r.exec(`INSERT INTO run (namespace, run, state, open, doc) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (namespace, run) DO UPDATE SET state = excluded.state, open = excluded.open, doc = excluded.doc`,
		row.Namespace, row.Run, string(row.State), row.Open, string(row.Doc))
}

func (r rows) DropRun(namespace, run string) error {
	for _, table := range ledgersql.TablesOfRun() {
		if err := r.exec("DELETE FROM "+table+" WHERE namespace = $1 AND run = $2", namespace, run); err != nil {
			return err
		}
	}
	return nil
}

func (r rows) Histograms(namespace, run string) ([]byte, error) {
	return r.document("SELECT doc FROM histogram WHERE namespace = $1 AND run = $2", namespace, run)
}

func (r rows) PutHistograms(namespace, run string, doc []byte) error {
	return r.exec(`INSERT INTO histogram (namespace, run, doc) VALUES ($1, $2, $3)
		ON CONFLICT (namespace, run) DO UPDATE SET doc = excluded.doc`, namespace, run, string(doc))
}

func (r rows) PutWorker(row ledgertx.WorkerRow) error {
	return r.exec(`INSERT INTO worker (pilot, namespace, worker, seen, doc) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (namespace, pilot) DO UPDATE SET worker = excluded.worker, seen = excluded.seen, doc = excluded.doc`,
		row.Pilot, row.Namespace, row.Worker, row.Seen, string(row.Doc))
}

func (r rows) Actors(namespace string) ([][]byte, error) {
	found, err := r.tx.Query(r.ctx, "SELECT doc FROM actor WHERE namespace = $1", namespace)
	if err != nil {
		return nil, failed(err)
	}
	docs, err := pgx.CollectRows(found, pgx.RowTo[[]byte])
	return docs, failed(err)
}

func (r rows) PutActor(namespace, duty, sender string, doc []byte) error {
	return r.exec(`INSERT INTO actor (namespace, duty, sender, doc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (namespace, duty, sender) DO UPDATE SET doc = excluded.doc`, namespace, duty, sender, string(doc))
}

func (r rows) PutToken(id, hash string, doc []byte) error {
	return r.exec(`INSERT INTO token (id, hash, doc) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, doc = excluded.doc`, id, hash, string(doc))
}

func (r rows) AddAudit(namespace string, at int64, doc []byte) error {
	return r.exec("INSERT INTO audit (namespace, at, doc) VALUES ($1, $2, $3)", namespace, at, string(doc))
}

func (r rows) Document(k ledger.Kind, key []string) ([]byte, error) {
	return r.document(ledgersql.ReadDocument(k), ledgersql.Arguments(key)...)
}

func (r rows) PutDocument(k ledger.Kind, key []string, doc []byte) error {
	return r.exec(ledgersql.WriteDocument(k), ledgersql.Arguments(key, string(doc))...)
}

func (r rows) DropDocument(k ledger.Kind, key []string) error {
	return r.exec(ledgersql.DropDocument(k), ledgersql.Arguments(key)...)
}

func (r rows) Touch() error { return r.exec("UPDATE name SET name = name") }
