package sqlite_test

import (
	"testing"

	"tfpilot/idds"
	"tfpilot/idds/sqlite"
	"tfpilot/idds/storetest"
)

func TestSQLiteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(tb testing.TB, dir string) idds.Store {
		tb.Helper()
		s, err := sqlite.Open(tb.Context(), dir)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = s.Close() })
		return s
	})
}
