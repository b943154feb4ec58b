package ledgersql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
)

// silent is a database that takes every question and answers none.
type silent struct{}

func (silent) Connect(context.Context) (driver.Conn, error) { return silent{}, nil }
func (silent) Driver() driver.Driver                        { return nil }
func (silent) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }
func (silent) Begin() (driver.Tx, error)                    { return nil, errors.ErrUnsupported }
func (silent) Close() error                                 { return nil }

func (silent) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestADatabaseThatFallsSilentKeepsNobodyForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := sql.OpenDB(silent{})
		defer func() { _ = db.Close() }()
		r := ledgersql.NewReader(db, func(err error) error { return err })
		for name, ask := range map[string]func(ctx context.Context) error{
			"runs":       func(ctx context.Context) error { _, err := r.Runs(ctx, ""); return err },
			"slices":     func(ctx context.Context) error { _, err := r.Slices(ctx, ledger.Filter{}); return err },
			"histograms": func(ctx context.Context) error { _, err := r.MergedHistograms(ctx, "", ""); return err },
			"latencies":  func(ctx context.Context) error { _, err := r.Latencies(ctx, "", ""); return err },
		} {
			if err := ask(t.Context()); !errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
			gone, leave := context.WithCancel(t.Context())
			leave()
			if err := ask(gone); !errors.Is(err, context.Canceled) || errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("%s, asked by nobody any more: %v", name, err)
			}
		}
	})
}
