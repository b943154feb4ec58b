package postgres_test

import (
	"strings"
	"testing"

	"tfpilot/idds/postgres"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

func TestNoSecretOfAnAddressIsShown(t *testing.T) {
	t.Parallel()
	for store, want := range map[string]string{
		"postgres://idds:hush@db.example.org:5433/idds?sslrootcert=/x": "postgres://idds@db.example.org:5433/idds",
		"postgres://db/idds?user=idds&password=hush":                   "postgres://db/idds",
		"postgres://idds@db/idds":                                      "postgres://idds@db/idds",
		"postgres://idds:hush%zz@db/idds":                              "postgres://...",
	} {
		if got := postgres.Address(store); got != want {
			t.Errorf("%s: %s", store, got)
		}
		if got := postgres.HasPassword(store); got != strings.Contains(store, "hush") {
			t.Errorf("%s: password %v", store, got)
		}
		if _, err := postgres.Open(t.Context(), store+"&sslmode=prefer", logging.Discard()); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", store, err)
		}
	}
}

func TestAnAddressThatIsNoneAndAServerThatNobodyVerifiesAreRefused(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for store, want := range map[string]string{
		"mysql://db/idds":                                  "such as postgres://idds@db.example.org/idds",
		"postgres://db:port/idds":                          "such as postgres://idds@db.example.org/idds",
		"postgres://db.example.org/idds?sslmode=require":   "sslmode=require does not verify who the server is; use verify-full",
		"postgres://db.example.org/idds?sslrootcert=/none": "unable to read CA file", // verified unless something else is said
	} {
		if _, err := postgres.Open(t.Context(), store, logging.Discard()); exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", store, err)
		}
	}
	t.Setenv("PGSSLMODE", "allow")
	if _, err := postgres.Open(t.Context(), "postgres://db.example.org/idds", logging.Discard()); err == nil || !strings.Contains(err.Error(), "sslmode=allow") {
		t.Errorf("%v", err)
	}
}
