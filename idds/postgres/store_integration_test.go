//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tfpilot/idds/postgres"
	"tfpilot/idds/storetest"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
)

func TestIntegrationPostgreSQLIsAStore(t *testing.T) {
	t.Parallel()
	server(t)
	stores := map[string]string{}
	turn := make(chan struct{}, 1)
	storetest.Run(t, func(tb testing.TB, dir string) ledger.Store {
		tb.Helper()
		turn <- struct{}{}
		defer func() { <-turn }()
		if stores[dir] == "" {
			stores[dir] = database(tb)
		}
		return open(tb, stores[dir])
	})
}

func TestIntegrationASecondIDDSIsToldWhoHasTheStore(t *testing.T) {
	t.Parallel()
	store := database(t)
	first := open(t, store)
	ctx, leave := context.WithCancel(t.Context())
	told := make(chan struct{})
	var lives sync.WaitGroup
	lives.Go(func() { // as a service does: who says something is not waited for as one whose machine may have died
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		defer leave()
		for range 250 {
			if err := first.Update(ctx, func(tx ledger.Tx) error { return tx.Touch() }); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-told:
				return
			case <-tick.C:
			}
		}
	})
	_, err := postgres.Open(ctx, store, logging.Discard())
	close(told)
	lives.Wait()
	if exitcode.From(err) != exitcode.StateLocked || !strings.Contains(err.Error(), `"idds `) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("%v", err)
	}
	open(t, database(t)) // another schema is another store
	must(t, first.Close())
	if second := open(t, store); second.Name() != first.Name() {
		t.Errorf("the name was %s and is %s", first.Name(), second.Name())
	}
}

// A machine that died has the store until the server gives its session up: after a power cut that may be the one that starts again.
func TestIntegrationASessionThatSaysNothingIsOutwaited(t *testing.T) {
	t.Parallel()
	store := database(t)
	must(t, open(t, store).Close())
	dead, err := pgx.Connect(t.Context(), store)
	must(t, err)
	_, err = dead.Exec(t.Context(), "SELECT pg_advisory_lock(x'74667069'::int, hashtext(current_schema()))")
	must(t, err)
	var said lines
	opened := make(chan error, 1)
	go func() {
		s, err := postgres.Open(t.Context(), store, slog.New(slog.NewTextHandler(&said, nil)))
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for said.count("held by a session that says nothing") == 0 {
		select {
		case err := <-opened:
			t.Fatalf("it did not wait: %v", err)
		case <-tick.C:
		}
	}
	must(t, dead.Close(t.Context()))
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestIntegrationAStoreOfANewerIDDSIsRefused(t *testing.T) {
	t.Parallel()
	store := database(t)
	must(t, open(t, store).Close())
	ask(t, store, "UPDATE idds_schema SET version = 99")
	_, err := postgres.Open(t.Context(), store, logging.Discard())
	if exitcode.From(err) != exitcode.StoreVersion || !strings.Contains(err.Error(), "schema 99, this program knows 8: a newer idds has written it") || errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestIntegrationAStoreOfBeforeIsBroughtForward(t *testing.T) {
	t.Parallel()
	address := database(t)
	// testdata/schema4.sql is what the idds of schema 4 left of two slices: `pg_dump --inserts`.
	script, err := os.ReadFile(filepath.Join("testdata", "schema4.sql"))
	must(t, err)
	ask(t, address, string(script)+"UPDATE slice SET filename = 'root://host//data/' || filename WHERE identity = 'slice-a';")
	store := open(t, address)
	if list, err := store.Files(t.Context(), ledger.FileFilter{}); err != nil || len(list) != 1 || list[0].Identity != "f.stf" || list[0].Slices != 2 {
		t.Errorf("files: %+v, %v", list, err)
	}
	if store.Name() != "w2nmxkq3" {
		t.Errorf("the name is %s now", store.Name())
	}
	for want, f := range map[string]ledger.Filter{"slice-a": {Pilot: "p1"}, "slice-b": {States: []ledger.SliceState{ledger.Outstanding}}} {
		list, err := store.Slices(t.Context(), f)
		if err != nil || len(list) != 1 || list[0].Key.Identity != want {
			t.Errorf("%+v: %+v, %v", f, list, err)
		}
	}
}

func TestIntegrationAWrongPasswordIsACredentialAndIsNotShown(t *testing.T) {
	t.Parallel()
	u := server(t)
	store := strings.Replace(u.String(), ":panda@", ":hush-hush@", 1)
	_, err := postgres.Open(t.Context(), store, logging.Discard())
	if exitcode.From(err) != exitcode.NoCredential || strings.Contains(err.Error(), "hush-hush") || !strings.Contains(exitcode.Next(err), "PGPASSFILE") {
		t.Errorf("%v", err)
	}
}

func TestIntegrationADatabaseThatIsNotThereIsToBeMade(t *testing.T) {
	t.Parallel()
	u := server(t)
	u.Path = "/none_such"
	if _, err := postgres.Open(t.Context(), u.String(), logging.Discard()); !strings.Contains(exitcode.Next(err), "createdb") {
		t.Errorf("%v: %s", err, exitcode.Next(err))
	}
}

func TestIntegrationASchemaThatIsNotThereIsNamedAsTheReason(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), with(server(t), "search_path", "none_such"), logging.Discard())
	if exitcode.From(err).Name != exitcode.StoreFailed.Name || !strings.Contains(err.Error(), "search_path") || errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// A plan is made while the tables are small, and kept.
func TestIntegrationASliceIsFoundByItsKeyHoweverYoungTheStoreIs(t *testing.T) {
	t.Parallel()
	address := database(t)
	s := open(t, address)
	const batches, size = 20, 250
	for _, state := range []ledger.SliceState{ledger.Outstanding, ledger.Done, ledger.Done} { // what is not there yet, and what is
		for from := range batches {
			must(t, s.Update(t.Context(), func(tx ledger.Tx) error {
				keys := make([]ledger.Key, size)
				for i := range keys {
					keys[i] = ledger.Key{Namespace: "ns", Run: "1", Identity: fmt.Sprintf("%032x", (from*size+i)*7919%(batches*size))}
				}
				if err := tx.Expect(keys); err != nil {
					return err
				}
				for _, k := range keys {
					if err := tx.PutSlice(&ledger.Slice{Key: k, State: state, Filename: "f"}); err != nil {
						return err
					}
				}
				return nil
			}))
		}
	}
	must(t, s.Close()) // its session tells what it did
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	deadline, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var byKey, read, others int
	for byKey == 0 {
		must(t, conn.QueryRow(deadline, `SELECT coalesce(sum(idx_scan) FILTER (WHERE indexrelname = 'slice_key'), 0),
			coalesce(sum(idx_tup_read) FILTER (WHERE indexrelname = 'slice_key'), 0),
			coalesce(sum(idx_scan) FILTER (WHERE indexrelname <> 'slice_key'), 0)
			FROM pg_stat_user_indexes WHERE relname = 'slice' AND schemaname = current_schema()`).Scan(&byKey, &read, &others))
	}
	if read > 3*3*batches*size || others > 0 {
		t.Errorf("%d slices were put three times: the index of their keys was asked %d times for %d rows, others %d times", batches*size, byKey, read, others)
	}
}
