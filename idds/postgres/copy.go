package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"tfpilot/internal/ledgersql"
	"tfpilot/internal/logging"
)

// Source is the state of a store at one moment, also while a service goes on writing.
type Source struct {
	ledgersql.Snapshot

	db   *sql.DB
	tx   *sql.Tx
	lock *pgx.Conn // nil when others may write
}

// OpenSource opens the store at a URL to be read as a whole. An exclusive one is refused while a service works on it.
func OpenSource(ctx context.Context, store string, exclusive bool) (*Source, error) {
	cfg, err := unlimited(store)
	if err != nil {
		return nil, err
	}
	s := &Source{}
	if err := s.open(ctx, cfg, exclusive); err != nil {
		_ = s.Close() //nolint:contextcheck // also when ctx has ended
		return nil, fmt.Errorf("opening %s: %w", Address(store), err)
	}
	return s, nil
}

// unlimited is the configuration of a session whose statements may take as long as a whole state does.
func unlimited(store string) (*pgx.ConnConfig, error) {
	cfg, err := parse(store)
	if err == nil {
		cfg.RuntimeParams["statement_timeout"] = "0"
	}
	return cfg, err
}

func (s *Source) open(ctx context.Context, cfg *pgx.ConnConfig, exclusive bool) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return failed(err)
	}
	err = present(ctx, conn)
	if cerr := conn.Close(ctx); err != nil || cerr != nil {
		return failed(errors.Join(err, cerr))
	}
	if exclusive {
		if s.lock, err = connect(ctx, cfg, 0); err != nil {
			return err
		}
	}
	s.db = stdlib.OpenDB(*cfg)
	s.tx, err = s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	s.Snapshot = ledgersql.NewSnapshot(s.tx)
	return failed(err)
}

// Close ends it.
func (s *Source) Close() error {
	var err error
	if s.tx != nil {
		err = s.tx.Rollback()
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return errors.Join(err, hangUp(s.lock))
}

// hangUp ends a session, if there is one, also when there is no more time for anything else.
func hangUp(conn *pgx.Conn) error {
	if conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return conn.Close(ctx)
}

// Target is an empty store that takes the state of another.
type Target struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

var _ ledgersql.Target = (*Target)(nil)

// OpenTarget opens the store at a URL for a whole state, making its tables when they are not there. One that holds anything, or that
// a service works on, is refused.
func OpenTarget(ctx context.Context, store string) (*Target, error) {
	cfg, err := unlimited(store)
	if err != nil {
		return nil, err
	}
	t := &Target{}
	if err := t.open(ctx, cfg); err != nil {
		_ = t.Close() //nolint:contextcheck // also when ctx has ended
		return nil, fmt.Errorf("opening %s: %w", Address(store), err)
	}
	return t, nil
}

func (t *Target) open(ctx context.Context, cfg *pgx.ConnConfig) (err error) {
	if t.conn, err = connect(ctx, cfg, 0); err != nil {
		return err
	}
	if _, err = migrate(ctx, t.conn, logging.Discard()); err != nil {
		return failed(err)
	}
	if t.tx, err = t.conn.Begin(ctx); err != nil {
		return failed(err)
	}
	return failed(ledgersql.MakeEmpty(ctx, t, func(statement string) error {
		_, err := t.tx.Exec(ctx, statement)
		return err
	}))
}

// Count counts the rows of a table.
func (t *Target) Count(ctx context.Context, table ledgersql.Table) (n int64, err error) {
	err = t.tx.QueryRow(ctx, "SELECT count(*) FROM "+table.Name).Scan(&n)
	return n, err
}

// Load writes all rows of a cursor, as a COPY.
func (t *Target) Load(ctx context.Context, table ledgersql.Table, rows *ledgersql.Cursor) error {
	if _, err := t.tx.CopyFrom(ctx, pgx.Identifier{table.Name}, table.Names(), rows); err != nil {
		return failed(err)
	}
	if !slices.Contains(table.Columns, ledgersql.Column{Name: "id", Kind: ledgersql.Int}) { // that of a token is a text
		return nil
	}
	_, err := t.tx.Exec(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%[1]s', 'id'), (SELECT coalesce(max(id), 1) FROM %[1]s))", table.Name)) // new ones come after
	return failed(err)
}

// Rows are what was written.
func (t *Target) Rows(ctx context.Context, table ledgersql.Table) (*ledgersql.Cursor, error) {
	rows, err := t.tx.Query(ctx, table.Select()) //nolint:sqlclosecheck // the cursor does
	if err != nil {
		return nil, failed(err)
	}
	return ledgersql.NewCursor(table, rows, rows.Close), nil
}

// Commit keeps it.
func (t *Target) Commit(ctx context.Context) error { return failed(t.tx.Commit(ctx)) }

// Close ends it; what was not committed is dropped.
func (t *Target) Close() error { return hangUp(t.conn) }
