package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

// failed says of an error of the database what it means, and whether it may pass.
func failed(err error) error {
	if err == nil {
		return nil
	}
	if passes(err) {
		return exitcode.New(exitcode.StoreFailed, "%w: %w", ledger.ErrUnavailable, err)
	}
	return exitcode.New(exitcode.StoreFailed, "the store: %w", err)
}

// passes reports whether an error is over when somebody has made room, given a right back, or ended his transaction.
func passes(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff { // what is above says more of the same
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN:
		return true
	default:
		return false
	}
}
