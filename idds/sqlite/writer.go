package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgertx"
)

// writer is the one connection that writes. It keeps its statements prepared: to parse them each time takes longer than to run
// them.
type writer struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	files    files
}

func newWriter(ctx context.Context, db *sql.DB, path string) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	// Identities are random, so that the indexes are written everywhere at once: what is written again before long should be found
	// in memory, and go from the log to the file once.
	for _, pragma := range []string{"PRAGMA cache_size = -32768", "PRAGMA wal_autocheckpoint = 8192"} {
		if _, err := conn.ExecContext(ctx, pragma); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	opened, err := openedFiles(path)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &writer{conn: conn, prepared: map[string]*sql.Stmt{}, files: opened}, nil
}

func (w *writer) close() error {
	var errs []error
	for _, stmt := range w.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// transact runs fn between BEGIN and COMMIT. The statements do not follow ctx, which would cost a goroutine for each of them:
// a transaction is short, and ends whole.
func (w *writer) transact(ctx context.Context, fn func(ledger.Tx) error) (err error) {
	ctx = context.WithoutCancel(ctx)
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return failed(fmt.Errorf("beginning a transaction: %w", err))
	}
	committed := false
	defer func() {
		if !committed { // after a panic too; where the database itself has ended the transaction this fails, which is as good
			_ = w.exec(ctx, "ROLLBACK")
		}
	}()
	b := ledgertx.NewBatch(rows{ctx, w})
	if err := fn(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := w.files.present(); err != nil {
		return err
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		return failed(fmt.Errorf("committing: %w", err))
	}
	committed = true
	return nil
}

// prepare sees to it that a statement is there.
func (w *writer) prepare(ctx context.Context, query string) error {
	if w.prepared[query] != nil {
		return nil
	}
	stmt, err := w.conn.PrepareContext(ctx, query) //nolint:sqlclosecheck // closed with the writer
	if err != nil {
		return err
	}
	w.prepared[query] = stmt
	return nil
}

func (w *writer) exec(ctx context.Context, query string, args ...any) error {
	if err := w.prepare(ctx, query); err != nil {
		return err
	}
	_, err := w.prepared[query].ExecContext(ctx, args...)
	return err
}

// row reads the one row of a query, or returns sql.ErrNoRows.
func (w *writer) row(ctx context.Context, query string, args, into []any) error {
	if err := w.prepare(ctx, query); err != nil {
		return err
	}
	return w.prepared[query].QueryRowContext(ctx, args...).Scan(into...)
}
