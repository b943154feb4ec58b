package sqlite_test

import (
	"testing"

	"tfpilot/idds/sqlite"
	"tfpilot/idds/storetest"
	"tfpilot/internal/ledger"
)

func TestSQLiteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(tb testing.TB, dir string) ledger.Store {
		tb.Helper()
		s, err := sqlite.Open(tb.Context(), dir)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = s.Close() })
		return s
	})
}
