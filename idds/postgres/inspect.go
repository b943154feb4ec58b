package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
)

// present checks that a database has the present schema.
func present(ctx context.Context, conn *pgx.Conn) error {
	found, err := version(ctx, conn)
	if err != nil {
		return err
	}
	if found == 0 {
		return errNone
	}
	return schema.Present(found)
}

var errNone = errors.New("there is no store of idds in it")

// Inspect looks at the store at a URL without changing it, also while a service works on it. It is nil when there is none; the
// error says what is wrong with it.
func Inspect(ctx context.Context, store string) (*ledger.StoreFacts, error) {
	cfg, err := parse(store)
	if err != nil {
		return nil, err
	}
	facts, err := inspect(ctx, cfg)
	if errors.Is(err, errNone) {
		return nil, nil //nolint:nilnil // no store is no facts
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Address(store), err)
	}
	return facts, nil
}

func inspect(ctx context.Context, cfg *pgx.ConnConfig) (*ledger.StoreFacts, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := present(ctx, conn); err != nil {
		return nil, failed(err)
	}
	facts := ledger.StoreFacts{Schema: ledgersql.Version}
	var writable bool
	if err := conn.QueryRow(ctx, `SELECT has_table_privilege('slice', 'INSERT') AND current_setting('transaction_read_only') = 'off',
		pg_database_size(current_database())`).Scan(&writable, &facts.Bytes); err != nil {
		return nil, failed(err)
	}
	if !writable {
		return nil, failed(errors.New("it cannot be written: the user has no right to, or the server is read-only"))
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { _ = db.Close() }()
	return &facts, ledgersql.NewReader(db, failed).Facts(ctx, &facts, `SELECT coalesce(max((a ->> 'processing_time')::float8), 0)
		FROM (SELECT doc::json AS doc FROM slice ORDER BY id DESC LIMIT $1) AS latest,
		json_array_elements(CASE json_typeof(doc -> 'attempts') WHEN 'array' THEN doc -> 'attempts' ELSE '[]' END) AS a`)
}
