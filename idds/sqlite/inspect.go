package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
)

// readOnly are options that change nothing, whoever works on the file.
const readOnly = "mode=ro&_pragma=busy_timeout(5000)"

// Inspect looks at the store in a folder without changing it, also while a service works on it. It is nil when there is none; the
// error says what is wrong with it.
func Inspect(ctx context.Context, dir string) (*ledger.StoreFacts, error) {
	path := File(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no store is no facts
	}
	facts, err := inspect(ctx, path)
	if err != nil {
		return nil, exitcode.Place(exitcode.StoreFailed, fmt.Errorf("%s: %w", path, err))
	}
	return facts, nil
}

// damaged adds what is to be done about a file that is no store, or not a whole one.
func damaged(err error) error {
	return exitcode.WithNext(err, "restore it from a backup, or start with an empty --state: what is still queued is counted again")
}

func inspect(ctx context.Context, path string) (*ledger.StoreFacts, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // whether we may write
	if err != nil {
		return nil, exitcode.WithNext(err, "let the user of the service ask, and look at who may write the file")
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := openDB(path, readOnly)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	var facts ledger.StoreFacts
	var verdict string
	if facts.Schema, err = present(ctx, db); err != nil {
		return nil, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return nil, damaged(errors.Join(fmt.Errorf("it is damaged: %s", verdict), err))
	}
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			facts.Bytes += info.Size()
		}
	}
	return &facts, ledgersql.NewReader(db, failed).Facts(ctx, &facts, `SELECT coalesce(max(a.value ->> '$.processing_time'), 0)
		FROM (SELECT doc FROM slice ORDER BY id DESC LIMIT $1) AS latest, json_each(latest.doc, '$.attempts') AS a`)
}

// present is the schema of a file, an error when it is not the present one.
func present(ctx context.Context, db *sql.DB) (version int, err error) {
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, damaged(err)
	}
	if version == 0 {
		return 0, damaged(errors.New("it is no store of idds"))
	}
	return version, schema.Present(version)
}
