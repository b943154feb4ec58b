package postgres

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
)

// lockClass is the first number of our advisory locks; the second is of the schema.
const lockClass = 0x74667069 // "tfpi"

const (
	// lockTries and lockWait are how long a former session is waited for whose end the server may not have noticed.
	lockTries = 20
	lockWait  = 100 * time.Millisecond
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

// holder is who has the store's lock, as far as the server tells us.
func holder(ctx context.Context, conn *pgx.Conn) string {
	var name string
	var pid int32
	var addr *netip.Addr
	var since time.Time
	err := conn.QueryRow(ctx, `SELECT a.application_name, a.pid, a.client_addr, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1 AND l.objid = hashtext(current_schema())::bit(32)::bigint AND l.objsubid = 2
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`, lockClass).Scan(&name, &pid, &addr, &since)
	if err != nil {
		return "the server does not say which"
	}
	from := "this machine"
	if addr != nil {
		from = addr.String()
	}
	return fmt.Sprintf("%q from %s, since %s (session %d of the server)", name, from, since.UTC().Format("2006-01-02 15:04:05"), pid)
}
