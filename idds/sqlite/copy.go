package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/logging"
)

// Source is the state of a file at one moment, also while a service goes on writing.
type Source struct {
	ledgersql.Snapshot

	db *sql.DB
	tx *sql.Tx
	// folder is of a file that is removed with the end.
	folder string
}

// OpenBackup opens a backup, also one that an older program has made: a copy of it in the folder for temporary files is brought to
// the present schema then, and the backup stays as it is.
func OpenBackup(ctx context.Context, path string, log *slog.Logger) (*Source, error) {
	s, err := OpenSource(ctx, path)
	if !errors.Is(err, ledger.ErrOlderSchema) {
		return s, err
	}
	dir, err := os.MkdirTemp("", "idds-backup-")
	if err != nil {
		return nil, exitcode.Wrap(exitcode.StoreFailed, err)
	}
	if err = forward(ctx, path, dir, log); err == nil {
		s, err = OpenSource(ctx, File(dir))
	}
	if err != nil {
		err = exitcode.WithNext(exitcode.Place(exitcode.StoreFailed, fmt.Errorf("bringing a copy of %s to the present schema: %w", path, err)),
			"the copy is in the folder for temporary files; TMPDIR names another one")
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.folder = dir
	return s, nil
}

// forward makes a copy in a folder, of the present schema.
func forward(ctx context.Context, path, dir string, log *slog.Logger) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // was read
	to, err := os.OpenFile(File(dir), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	store, err := Open(ctx, dir, log)
	if err != nil {
		return err
	}
	return store.Close()
}

// OpenSource opens a store's file, or a backup.
func OpenSource(ctx context.Context, path string) (*Source, error) {
	s, err := openSource(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exitcode.WithNext(exitcode.Wrap(exitcode.StoreFailed, err), "check the path")
	}
	if err != nil {
		err = exitcode.Place(exitcode.StoreFailed, fmt.Errorf("opening %s: %w", path, err))
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlite3.SQLITE_CANTOPEN {
			err = exitcode.WithNext(err, "look at who may write its folder: also who reads has to. On a disk that is read-only, copy it with the file "+
				"of its name and -wal, if there is one, to another disk, and take the copy")
		}
		return nil, err
	}
	return s, nil
}

func openSource(ctx context.Context, path string) (*Source, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := openDB(path, readOnly)
	if err != nil {
		return nil, err
	}
	if _, err := present(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Source{Snapshot: ledgersql.NewSnapshot(tx), db: db, tx: tx}, nil
}

// Close ends it.
func (s *Source) Close() error {
	err := errors.Join(s.tx.Rollback(), s.db.Close())
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}

// Target is an empty file that takes the state of another store.
type Target struct {
	db *sql.DB
	tx *sql.Tx
}

var _ ledgersql.Target = (*Target)(nil)

// OpenTarget opens or makes a file for a whole state. One that holds anything is refused.
func OpenTarget(ctx context.Context, path string) (*Target, error) {
	t, err := openTarget(ctx, path)
	if err != nil {
		return nil, exitcode.WithNext(exitcode.Place(exitcode.StoreFailed, fmt.Errorf("opening %s: %w", path, err)), "name an empty store, or move what is there away")
	}
	return t, nil
}

func openTarget(ctx context.Context, path string) (*Target, error) {
	// Without a write-ahead log, so that a backup is one file: the service turns it on.
	db, err := openDB(path, "_pragma=journal_mode(delete)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	t := &Target{db: db}
	if _, err = migrate(ctx, db, logging.Discard()); err == nil {
		if t.tx, err = db.BeginTx(ctx, nil); err == nil {
			err = ledgersql.MakeEmpty(ctx, ledgersql.NewSnapshot(t.tx), func(statement string) error {
				_, err := t.tx.ExecContext(ctx, statement)
				return err
			})
		}
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Load writes all rows of a cursor.
func (t *Target) Load(ctx context.Context, table ledgersql.Table, rows *ledgersql.Cursor) error {
	stmt, err := t.tx.PrepareContext(ctx, table.Insert())
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }()
	args := make([]any, len(table.Columns))
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok { // a text here, as the service writes it
				v = string(b)
			}
			args[i] = v
		}
		if _, err := stmt.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Rows are what was written.
func (t *Target) Rows(ctx context.Context, table ledgersql.Table) (*ledgersql.Cursor, error) {
	return ledgersql.NewSnapshot(t.tx).Rows(ctx, table)
}

// Commit keeps it.
func (t *Target) Commit(context.Context) error {
	err := t.tx.Commit()
	t.tx = nil
	return err
}

// Close ends it; what was not committed is dropped.
func (t *Target) Close() error {
	var err error
	if t.tx != nil {
		err = t.tx.Rollback()
	}
	return errors.Join(err, t.db.Close())
}
