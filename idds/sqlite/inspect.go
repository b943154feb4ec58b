package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

// recent is of how many slices the rates are: of all it would take long in a file of years.
const recent = 100_000

// Inspect looks at the store in a folder without changing it, also while a service works on it. It is nil when there is none; the
// error says what is wrong with it.
func Inspect(ctx context.Context, dir string) (*ledger.StoreFacts, error) {
	path := filepath.Join(dir, "idds.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no store is no facts
	}
	facts, err := inspect(ctx, path)
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "%s: %w", path, err)
	}
	return facts, nil
}

func inspect(ctx context.Context, path string) (*ledger.StoreFacts, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // whether we may write
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	var facts ledger.StoreFacts
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&facts.Schema); err != nil {
		return nil, err
	}
	if facts.Schema != schemaVersion {
		return nil, fmt.Errorf("it has schema %d, this program knows %d", facts.Schema, schemaVersion)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return nil, errors.Join(fmt.Errorf("it is damaged: %s", verdict), err)
	}
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			facts.Bytes += info.Size()
		}
	}
	s := &Store{db: db}
	return &facts, errors.Join(s.count(ctx, &facts), s.rates(ctx, &facts), s.reports(ctx, &facts))
}

func (s *Store) count(ctx context.Context, facts *ledger.StoreFacts) error {
	err := s.db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM slice)").Scan(&facts.Runs, &facts.Slices)
	if err != nil {
		return err
	}
	rows, err := s.db.QueryContext(ctx, "SELECT DISTINCT namespace FROM run ORDER BY 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var ns string
		if err := rows.Scan(&ns); err != nil {
			return err
		}
		facts.Namespaces = append(facts.Namespaces, ns)
	}
	return rows.Err()
}

// rates are of the latest slices: results come in bursts, so the rate is that of the fullest ten seconds.
func (s *Store) rates(ctx context.Context, facts *ledger.StoreFacts) error {
	var most int64
	var hold float64
	err := s.db.QueryRowContext(ctx, `WITH latest AS (SELECT finished, doc FROM slice ORDER BY id DESC LIMIT ?)
		SELECT coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM latest WHERE finished > 0 GROUP BY finished / 10000000)), 0),
		coalesce((SELECT max(a.value ->> '$.processing_time') FROM latest, json_each(latest.doc, '$.attempts') AS a), 0)`, recent).Scan(&most, &hold)
	facts.PeakRate, facts.LongestHold = float64(most)/10, time.Duration(hold*float64(time.Second))
	return err
}

func (s *Store) reports(ctx context.Context, facts *ledger.StoreFacts) (err error) {
	workers, err := s.Workers(ctx, "")
	if err != nil {
		return err
	}
	for _, w := range workers {
		if time.Since(w.LastSeen) < 24*time.Hour {
			facts.Workers = append(facts.Workers, w)
		}
	}
	facts.Actors, err = s.Actors(ctx, "")
	return err
}
