// Package sqlite keeps idds' ledger in one SQLite file (write-ahead log, one writer).
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
)

// schema. Identities are random: slices lie in the order of their coming, so that a batch writes neighbouring pages.
var schema = ledgersql.Schema{
	{Version: 3, SQL: `
CREATE TABLE run (namespace TEXT, run TEXT, open INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
CREATE INDEX run_open ON run (namespace, run) WHERE open;
CREATE TABLE slice (
  id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, run TEXT NOT NULL, identity TEXT NOT NULL, state TEXT NOT NULL, filename TEXT NOT NULL,
  created INTEGER NOT NULL, stf INTEGER NOT NULL, finished INTEGER NOT NULL, due INTEGER NOT NULL, doc TEXT NOT NULL, message TEXT NOT NULL);
CREATE UNIQUE INDEX slice_key ON slice (namespace, run, identity);
CREATE INDEX slice_open ON slice (namespace, run, state, identity) WHERE state <> 'done';
CREATE INDEX slice_due ON slice (due) WHERE due > 0;
CREATE TABLE request (
  namespace TEXT, run TEXT, created_at INTEGER, identity TEXT, PRIMARY KEY (namespace, run, created_at, identity)) WITHOUT ROWID;
CREATE TABLE histogram (namespace TEXT, run TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
CREATE TABLE worker (pilot TEXT PRIMARY KEY, namespace TEXT NOT NULL, seen INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE actor (namespace TEXT, duty TEXT, sender TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, duty, sender)) WITHOUT ROWID;
CREATE TABLE name (name TEXT NOT NULL);
`},
	// What is done is listed too, and may be rare.
	{Version: 4, SQL: `
DROP INDEX slice_open;
CREATE INDEX slice_state ON slice (namespace, run, state, identity);
`},
	// Slices are found by who had them, by what they failed with, and by their file; a pilot is one of its namespace; tokens.
	// What is due was looked for in the whole namespace: of two indexes the one with a name to compare is taken.
	{Version: 5, SQL: `
DROP INDEX slice_due;
CREATE INDEX slice_due ON slice (namespace, due) WHERE due > 0;
ALTER TABLE slice ADD COLUMN pilot TEXT NOT NULL DEFAULT '';
ALTER TABLE slice ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE slice ADD COLUMN failure TEXT NOT NULL DEFAULT '';
UPDATE slice SET pilot = coalesce(doc ->> '$.attempts[#-1].pilot_id', ''),
  class = CASE state WHEN 'failed' THEN coalesce(nullif(doc ->> '$.failure.class', ''), 'unknown') ELSE '' END,
  failure = CASE state WHEN 'failed' THEN coalesce(nullif(doc ->> '$.failure.name', ''), 'unknown') ELSE '' END
  WHERE instr(doc, '\u0000') = 0;
CREATE INDEX slice_failure ON slice (namespace, run, class, failure, identity, state) WHERE failure <> '';
CREATE INDEX slice_pilot ON slice (namespace, pilot, state, run, identity) WHERE pilot <> '';
CREATE INDEX slice_file ON slice (namespace, run, filename, identity);
ALTER TABLE worker RENAME TO worker_4;
CREATE TABLE worker (namespace TEXT, pilot TEXT, seen INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (namespace, pilot)) WITHOUT ROWID;
INSERT INTO worker SELECT namespace, pilot, seen, doc FROM worker_4;
DROP TABLE worker_4;
CREATE TABLE token (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, at INTEGER NOT NULL, doc TEXT NOT NULL);
`},
	// What the data side says of runs and files, and who is alive. An STF file is known by its name, in whatever folder slices say
	// that it is: what is left of a path without the slashes and all other letters at its end is that folder.
	// Within a run slices are listed in the order of their coming: identities are random, and an index in their order is written all
	// over. The number of a slice stands behind the columns of each index by itself.
	// Workflow tasks: one of a scope, a name and a run; a request is that of its first.
	{Version: 6, SQL: `
CREATE TABLE detector (namespace TEXT, run TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
CREATE TABLE stf (namespace TEXT, run TEXT, name TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, run, name)) WITHOUT ROWID;
CREATE TABLE tf (namespace TEXT, run TEXT, stf TEXT, name TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, run, stf, name)) WITHOUT ROWID;
CREATE TABLE component (namespace TEXT, name TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, name)) WITHOUT ROWID;
DROP INDEX slice_state;
DROP INDEX slice_failure;
DROP INDEX slice_pilot;
DROP INDEX slice_file;
UPDATE slice SET filename = substr(filename, length(rtrim(filename, replace(filename, '/', ''))) + 1)
  WHERE instr(filename, '/') > 0 AND filename NOT LIKE '%/';
CREATE INDEX slice_state ON slice (namespace, run, state);
CREATE INDEX slice_failure ON slice (namespace, run, class, failure) WHERE failure <> '';
CREATE INDEX slice_pilot ON slice (namespace, pilot, state, run) WHERE pilot <> '';
CREATE INDEX slice_file ON slice (namespace, run, filename);
CREATE TABLE task (
  id INTEGER PRIMARY KEY, request INTEGER NOT NULL, namespace TEXT NOT NULL, run TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL);
CREATE UNIQUE INDEX task_run ON task (namespace, run, scope, name);
CREATE INDEX task_name ON task (namespace, scope, name, id);
CREATE INDEX task_request ON task (request, id);
CREATE TABLE task_message (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, request INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE INDEX task_message_request ON task_message (namespace, request, id);
`},
	// Runs are listed by state. No text within a document has a quote of its own: what stands behind the first key is the run's. A pilot
	// is found by the harvester's name for it.
	{Version: 7, SQL: `
ALTER TABLE run ADD COLUMN state TEXT NOT NULL DEFAULT '';
UPDATE run SET state = substr(doc, instr(doc, '"state":"') + 9) WHERE instr(doc, '"state":"') > 0;
UPDATE run SET state = substr(state, 1, instr(state, '"') - 1);
CREATE INDEX run_state ON run (namespace, state, run);
ALTER TABLE worker ADD COLUMN worker TEXT NOT NULL DEFAULT '';
UPDATE worker SET worker = coalesce(doc ->> '$.worker_id', '') WHERE instr(doc, '\u0000') = 0;
CREATE INDEX worker_id ON worker (worker);
`},
	// Most of what failed once is done later: those that are not are found by their state, and those of a pilot by themselves.
	{Version: 8, SQL: `
DROP INDEX slice_failure;
CREATE INDEX slice_failure ON slice (namespace, run, state, class, failure) WHERE failure <> '';
CREATE INDEX slice_failure_pilot ON slice (namespace, pilot, run) WHERE failure <> '';
`},
}

// Store is the ledger's file.
type Store struct {
	ledgersql.Reader

	path   string
	db     *sql.DB // readers
	name   string
	turn   chan struct{} // held by whoever writes
	writer *writer
}

var _ ledger.Store = (*Store)(nil)

// File is the file of a state folder.
func File(dir string) string { return filepath.Join(dir, "idds.db") }

// Open opens or makes the file of a state folder. What an older idds has written is brought to the present schema, of which the
// logger hears.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	path := File(dir)
	s, err := open(ctx, path, log)
	if err != nil {
		return nil, exitcode.Place(exitcode.StoreFailed, fmt.Errorf("opening the store %s: %w", path, err))
	}
	return s, nil
}

func open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	if err := touch(path); err != nil {
		return nil, err
	}
	// Not made: a reader that comes while the file is away would put an empty one in its place.
	db, err := openDB(path, "mode=rw&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	s := &Store{Reader: ledgersql.NewReader(db, failed), path: path, db: db, turn: make(chan struct{}, 1)}
	if s.name, err = migrate(ctx, db, log); err == nil {
		s.writer, err = newWriter(ctx, db, path)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// touch makes an empty file where there is none.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openDB opens a file by a path that may have any letters in it.
func openDB(path, options string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: options}).String())
}

// migrate brings a file to the present schema, each step whole or not at all, and returns its name.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) (name string, err error) {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return "", err
	}
	steps, err := schema.Due(ctx, version, log)
	if err != nil {
		return "", err
	}
	for _, step := range steps {
		if err := apply(ctx, db, step); err != nil {
			return "", fmt.Errorf("bringing it to schema %d: %w", step.Version, err)
		}
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO name SELECT $1 WHERE NOT EXISTS (SELECT * FROM name)", strings.ToLower(rand.Text()[:8])); err != nil {
		return "", err
	}
	return name, db.QueryRowContext(ctx, "SELECT name FROM name").Scan(&name)
}

func apply(ctx context.Context, db *sql.DB, step ledgersql.Step) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, after the commit
	if _, err := tx.ExecContext(ctx, step.SQL); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", step.Version)); err != nil {
		return err
	}
	return tx.Commit()
}

// SizeBytes is what the file takes, with its log.
func (s *Store) SizeBytes(context.Context) (int64, error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0, err
	}
	if wal, err := os.Stat(s.path + "-wal"); err == nil { // or there is none just now
		return info.Size() + wal.Size(), nil
	}
	return info.Size(), nil
}

// Name tells this store from all others; it was drawn when the store was made.
func (s *Store) Name() string { return s.name }

// Close closes the file.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return errors.Join(s.writer.close(), s.db.Close())
}

// Update runs fn in one transaction. Nothing of it is seen before it has committed.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return exitcode.New(exitcode.StoreFailed, "beginning a transaction: %w", err)
	}
	return s.writer.transact(ctx, fn)
}
