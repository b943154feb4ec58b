//go:build integration

package postgres_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tfpilot/idds/postgres"
	"tfpilot/internal/logging"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

// server is the address of a real PostgreSQL with the right to make schemas.
func server(tb testing.TB) *url.URL {
	tb.Helper()
	text := os.Getenv("TFPILOT_TEST_POSTGRES")
	if text == "" {
		const how = "TFPILOT_TEST_POSTGRES names no server; `scripts/services.sh up postgres` starts one and prints it"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			tb.Fatal(how)
		}
		tb.Skip(how)
	}
	u, err := url.Parse(text)
	must(tb, err)
	return u
}

// database makes a schema of the test's own and returns the address of a store in it.
func database(tb testing.TB) string {
	tb.Helper()
	u := server(tb)
	schema := "test_" + strings.ToLower(rand.Text()[:12])
	ask(tb, u.String(), "CREATE SCHEMA "+schema)
	tb.Cleanup(func() { ask(tb, u.String(), "DROP SCHEMA "+schema+" CASCADE") })
	return with(u, "search_path", schema)
}

// with is an address with one more setting.
func with(u *url.URL, key, value string) string {
	changed := *u
	query := u.Query()
	query.Set(key, value)
	changed.RawQuery = query.Encode()
	return changed.String()
}

// ask runs a statement in a session of its own.
func ask(tb testing.TB, store, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, store)
	must(tb, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	must(tb, err)
}

func open(tb testing.TB, store string) *postgres.Store {
	tb.Helper()
	s, err := postgres.Open(tb.Context(), store, logging.Discard())
	must(tb, err)
	tb.Cleanup(func() { _ = s.Close() })
	return s
}
