package sqlite_test

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"

	driversqlite "modernc.org/sqlite"

	"tfpilot/idds/sqlite"
	"tfpilot/idds/storetest"
	"tfpilot/internal/logging"
)

// connector opens sessions on a file.
type connector string

// Connect opens one.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(string(c)) }

// Driver is that of SQLite.
func (c connector) Driver() driver.Driver { return &driversqlite.Driver{} }

func TestAListIsReadFromAnIndexInItsOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, logging.Discard())
	must(t, err)
	defer func() { _ = store.Close() }()
	storetest.Fill(t, store)
	n := 0
	storetest.Plans(t, connector("file:"+sqlite.File(dir)), "EXPLAIN QUERY PLAN ", func(query, plan string) {
		some := strings.Contains(query, "state = ") || strings.Contains(query, "WHERE open")
		if strings.Contains(query, "detector") && some && !strings.Contains(plan, "run_state") && !strings.Contains(plan, "run_open") {
			t.Errorf("all runs are read for some:\n%s\n%s", query, plan)
		}
		if strings.Contains(plan, "SCAN run\n") {
			t.Errorf("%s\n%s", query, plan)
		}
		if !strings.Contains(query, "FROM slice ") {
			return
		}
		n++
		ways := strings.Contains(query, "GROUP BY") && !strings.Contains(plan, "COVERING INDEX slice_failure ")
		if ways || strings.Contains(plan, "SCAN slice") || strings.Contains(plan, "ORDER BY") {
			t.Errorf("%s\n%s", query, plan)
		}
	})
	if n < 20 {
		t.Errorf("%d queries", n)
	}
}
