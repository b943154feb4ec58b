package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

// failed says of an error of the database what it means, and whether it may pass.
func failed(err error) error {
	if err == nil {
		return nil
	}
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(said.Code, "28"): // who we are
			return exitcode.WithNext(exitcode.New(exitcode.NoCredential, "the store: %w", err),
				"mend user and password where they stand: in the file of --store-file, in TFPILOT_STORE, in PGPASSWORD, or in PGPASSFILE (~/.pgpass)")
		case said.Code == "3D000":
			return exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "the store: %w", err),
				"make it, as the database's administrator: createdb --owner=USER DATABASE, or mend the address")
		case said.Code == "42501": // permission denied
			return exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "the store: %w", err),
				"give the user a database, or a schema (search_path=...), of its own")
		case passes(said.Code):
			return exitcode.New(exitcode.StoreFailed, "%w: %w", ledger.ErrUnavailable, err)
		default:
			return exitcode.New(exitcode.StoreFailed, "the store: %w", err)
		}
	}
	if isConnection(err) {
		return exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "%w: %w", ledger.ErrUnavailable, err),
			"check that the database server runs, and that its address is right")
	}
	return exitcode.Place(exitcode.StoreFailed, fmt.Errorf("the store: %w", err))
}

// passes reports whether an error with a code may pass: the server, its disk, or somebody else's transaction is the reason.
func passes(code string) bool {
	switch {
	case len(code) < 2:
		return false
	case code == "25006", code == "55P03", code == "25P03", code == "25P04": // read-only; locked; the server's limits on a transaction
		return true
	}
	switch code[:2] {
	// Connections; rollbacks for others' sake; no room, memory or connections left; ended by an operator; the system beneath.
	case "08", "40", "53", "57", "58":
		return true
	default:
		return false
	}
}

// isConnection reports whether there was no answer.
func isConnection(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, sql.ErrConnDone, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return true
		}
	}
	return pgconn.SafeToRetry(err)
}

// inUse is the error of whoever comes second.
func inUse(by *holding) error {
	return exitcode.WithNext(exitcode.Wrap(exitcode.StateLocked, by), by.next())
}
