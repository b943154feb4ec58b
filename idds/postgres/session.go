package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
)

// lockClass is the first number of our advisory locks; the second is of the schema.
const lockClass = 0x74667069 // "tfpi"

const (
	// lockTries and lockWait are how long a session is waited for whose end the server is about to notice.
	lockTries = 20
	lockWait  = 100 * time.Millisecond
	// deadLimit is after how long the server gives up a session whose machine died without a word, deadWait how long that is waited for.
	deadLimit = 25 * time.Second
	deadWait  = deadLimit + 15*time.Second
)

// connect opens the session that alone may write: it holds the store's advisory lock, which the server takes back when the session
// ends. former is the server's number of a session that was ours, and is to be ended if it still holds the lock; 0 when there is none.
func connect(ctx context.Context, cfg *pgx.ConnConfig, former uint32) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, failed(err)
	}
	for range lockTries {
		var locked *bool
		if err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))", lockClass).Scan(&locked); err != nil {
			break
		}
		if locked == nil {
			_ = conn.Close(ctx)
			return nil, exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "no schema of the database is in its search_path"),
				"make the schema first (CREATE SCHEMA), or correct search_path in the address")
		}
		if *locked {
			return conn, nil
		}
		if former != 0 { // its line is dead, which the server does not know yet
			_, err = conn.Exec(ctx, "SELECT pg_terminate_backend($1)", int32(former)) //nolint:gosec // a process number
			former = 0
		}
		if err == nil {
			err = pause.For(ctx, lockWait)
		}
		if err != nil {
			break
		}
	}
	if err = failed(err); err == nil {
		err = inUse(holder(ctx, conn))
	}
	_ = conn.Close(ctx)
	return nil, err
}

// outwait opens the session of a program that has just been started. Who has the store may be a service whose machine died, it may even
// have been ours before a power cut: the server gives it up before long. One that lives says something every few seconds.
func outwait(ctx context.Context, open func(context.Context) error, log *slog.Logger) error {
	var first *holding
	said := false
	for began := time.Now(); ; {
		err := open(ctx)
		by, held := errors.AsType[*holding](err)
		switch {
		case !held, by.pid == 0, time.Since(began) > deadWait:
			return err
		case first == nil:
			first = by
		case by.pid != first.pid, !by.spoke.Equal(first.spoke):
			return err
		case !said:
			said = true
			log.WarnContext(ctx, "the store is held by a session that says nothing: should its machine have died, the server gives it up before long",
				slog.String("session", by.who), slog.Duration("silent", by.silent.Round(time.Second)), slog.Duration("waiting", deadWait))
		}
	}
}

// holding is that another session has the store.
type holding struct {
	who    string
	pid    int32     // 0 when it is not known which
	spoke  time.Time // when it said something last
	silent time.Duration
}

func (h *holding) Error() string { return "another program works on this store: " + h.who }

// next is what to do about it.
func (h *holding) next() string {
	const other = "end it, or give this one a database, or a schema (search_path=...), of its own"
	if h.silent < deadLimit {
		return other
	}
	return fmt.Sprintf("%s; it has said nothing for %s: if its machine is gone, SELECT pg_terminate_backend(%d) ends it", other, h.silent.Round(time.Second), h.pid)
}

// holder is who has the store's lock, as far as the server tells us.
func holder(ctx context.Context, conn *pgx.Conn) *holding {
	var h holding
	var name string
	var addr *netip.Addr
	var since time.Time
	err := conn.QueryRow(ctx, `SELECT a.application_name, a.pid, a.client_addr, a.backend_start, a.state_change, clock_timestamp() - a.state_change
		FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1 AND l.objid = hashtext(current_schema())::bit(32)::bigint AND l.objsubid = 2
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`, lockClass).Scan(&name, &h.pid, &addr, &since, &h.spoke, &h.silent)
	if err != nil {
		return &holding{who: "the server does not say which"}
	}
	from := "this machine"
	if addr != nil {
		from = addr.String()
	}
	h.who = fmt.Sprintf("%q from %s, since %s (session %d of the server)", name, from, since.UTC().Format("2006-01-02 15:04:05"), h.pid)
	return &h
}
