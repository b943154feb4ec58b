// Package postgres keeps idds' ledger in a PostgreSQL database.
//
// Many sessions read, one writes: it holds an advisory lock, so that a second idds on the same database is refused, and is opened
// anew when the server was away. A commit whose answer did not come is asked about by its transaction number: an [Store.Update]
// never ends in doubt, unless its context does.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/ledgertx"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
)

const (
	// readers is how many questions are answered at once.
	readers = 8
	// writeLimit is how long a transaction may take; one that takes longer has lost its server.
	writeLimit = time.Minute
	// askWait is the pause between two tries to learn what became of a commit.
	askWait = 500 * time.Millisecond
)

// Store is the ledger's database.
type Store struct {
	ledgersql.Reader

	db   *sql.DB
	cfg  *pgx.ConnConfig
	log  *slog.Logger
	name string

	turn   chan struct{} // held by whoever writes; guards what is below
	conn   *pgx.Conn     // nil when there is none
	former uint32        // the server's number of our latest session
}

var _ ledger.Store = (*Store)(nil)

// Open opens the store at a URL, making its tables when they are not there. What an older idds has written is brought to the
// present schema. The logger hears of that, and of commits whose answer did not come.
func Open(ctx context.Context, store string, log *slog.Logger) (*Store, error) {
	cfg, err := parse(store)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg.Copy(), log: log, turn: make(chan struct{}, 1)}
	s.db = stdlib.OpenDB(*cfg)
	s.db.SetMaxOpenConns(readers)
	s.db.SetMaxIdleConns(readers)
	s.db.SetConnMaxIdleTime(time.Minute)
	s.Reader = ledgersql.NewReader(s.db, failed)
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", Address(store), err), s.db.Close())
	}
	return s, nil
}

func (s *Store) begin(ctx context.Context) error {
	if err := outwait(ctx, func(ctx context.Context) error { _, err := s.session(ctx); return err }, s.log); err != nil {
		return err
	}
	var err error
	if s.name, err = migrate(ctx, s.conn, s.log); err != nil {
		s.hangUp(ctx)
		return failed(err)
	}
	return nil
}

// SizeBytes is what the database takes on its server.
func (s *Store) SizeBytes(ctx context.Context) (n int64, err error) {
	return n, s.db.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&n)
}

// Name tells this store from all others; it was drawn when the store was made.
func (s *Store) Name() string { return s.name }

// Close ends all sessions.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	s.hangUp(ctx)
	return s.db.Close()
}

// session is the one that writes, opened anew when it was lost.
func (s *Store) session(ctx context.Context) (*pgx.Conn, error) {
	if s.conn != nil && !s.conn.IsClosed() {
		return s.conn, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*dialLimit)
	defer cancel()
	conn, err := connect(ctx, s.cfg, s.former)
	if err != nil {
		return nil, err
	}
	s.conn, s.former = conn, conn.PgConn().PID()
	return conn, nil
}

func (s *Store) hangUp(ctx context.Context) {
	if s.conn != nil {
		_ = s.conn.Close(ctx) // what was committed is committed
		s.conn = nil
	}
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
	conn, err := s.session(ctx)
	if err != nil {
		return err
	}
	// It does not follow ctx: a transaction is short, and ends whole.
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	xid, err := transact(short, conn, fn)
	if xid == nil {
		return err
	}
	s.hangUp(short)
	return s.ask(ctx, *xid, err)
}

// transact runs fn between BEGIN and COMMIT. With a transaction number its error leaves open whether that has committed.
func transact(ctx context.Context, conn *pgx.Conn, fn func(ledger.Tx) error) (doubt *string, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, failed(fmt.Errorf("beginning a transaction: %w", err))
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing, after the commit
	b := ledgertx.NewBatch(rows{ctx, tx})
	if err := fn(b); err != nil {
		return nil, err
	}
	if err := b.Flush(); err != nil {
		return nil, err
	}
	var xid *string // none when nothing was written
	if err := tx.QueryRow(ctx, "SELECT pg_current_xact_id_if_assigned()::text").Scan(&xid); err != nil {
		return nil, failed(fmt.Errorf("committing: %w", err))
	}
	err = tx.Commit(ctx)
	if _, said := errors.AsType[*pgconn.PgError](err); said || errors.Is(err, pgx.ErrTxCommitRollback) || err == nil {
		xid = nil
	}
	if err != nil {
		err = fmt.Errorf("committing: %w", err)
	}
	return xid, failed(err)
}

// ask finds out what became of a commit whose answer did not come. Our new session has the lock, so the old one has ended.
func (s *Store) ask(ctx context.Context, xid string, lost error) error {
	s.log.WarnContext(ctx, "the store did not answer to a commit; it is asked as soon as it is back", slog.String("transaction", xid), logging.Err(lost))
	for {
		status, err := s.status(ctx, xid)
		switch {
		case err == nil && status == "committed":
			return nil
		case err == nil && status == "aborted":
			return lost
		case err != nil && !errors.Is(err, ledger.ErrUnavailable):
			return errors.Join(err, lost)
		}
		if err := pause.For(ctx, askWait); err != nil {
			return exitcode.New(exitcode.StoreFailed, "it is not known whether a transaction has committed: %w, %w", err, lost)
		}
	}
}

func (s *Store) status(ctx context.Context, xid string) (status string, err error) {
	conn, err := s.session(ctx)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	return status, failed(conn.QueryRow(ctx, "SELECT coalesce(pg_xact_status($1::text::xid8), 'forgotten')", xid).Scan(&status))
}
