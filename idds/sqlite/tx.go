package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

// tx is one transaction. Runs and histograms, which every message of a batch touches, are written once at its end.
type tx struct {
	ctx        context.Context
	sql        *sql.Tx
	histograms map[[2]string]hist.Set
	runs       map[[2]string]*idds.Run
}

// get reads one document; nil bytes when there is none.
func (t *tx) get(query string, args ...any) ([]byte, error) {
	var doc []byte
	err := t.sql.QueryRowContext(t.ctx, query, args...).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return doc, failed(err)
}

func (t *tx) put(document any, query string, args ...any) error {
	doc, err := json.Marshal(document)
	if err == nil {
		_, err = t.sql.ExecContext(t.ctx, query, append(args, string(doc))...)
	}
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the store: %w", err)
	}
	return nil
}

func (t *tx) Slice(k idds.Key) (*idds.Slice, error) {
	doc, err := t.get("SELECT doc FROM slice WHERE namespace = ? AND run = ? AND identity = ?", k.Namespace, k.Run, k.Identity)
	if doc == nil || err != nil {
		return nil, err
	}
	s := idds.Slice{Key: k}
	return &s, failed(json.Unmarshal(doc, &s))
}

func (t *tx) PutSlice(s *idds.Slice) error {
	k := s.Key
	due := int64(0)
	switch {
	case s.Unsent:
		due = 1
	case s.State == idds.Waiting:
		due = s.RetryAt.UnixMicro()
	}
	for _, a := range s.Attempts {
		if a.State != "sent" || a.CreatedAt.IsZero() {
			continue
		}
		if _, err := t.sql.ExecContext(t.ctx, "INSERT OR IGNORE INTO request VALUES (?, ?, ?, ?)",
			k.Namespace, k.Run, a.CreatedAt.UTC().Format(time.RFC3339Nano), k.Identity); err != nil {
			return exitcode.New(exitcode.StoreFailed, "writing the store: %w", err)
		}
	}
	return t.put(s, "INSERT OR REPLACE INTO slice VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		k.Namespace, k.Run, k.Identity, string(s.State), s.Filename, micros(s.CreatedAt), micros(s.STFAt), micros(s.FinishedAt), due)
}

// micros is a time as the store has it: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (t *tx) SliceByRequest(namespace, run, createdAt string) (*idds.Slice, error) {
	at, err := message.ParseTime(createdAt)
	if err != nil {
		return nil, nil // no time, no match
	}
	rows, err := t.sql.QueryContext(t.ctx, "SELECT identity FROM request WHERE namespace = ? AND run = ? AND created_at = ? LIMIT 2",
		namespace, run, at.UTC().Format(time.RFC3339Nano))
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, failed(err)
		}
		found = append(found, id)
	}
	if err := rows.Err(); err != nil || len(found) != 1 {
		return nil, failed(err) // none, or ambiguous
	}
	return t.Slice(idds.Key{Namespace: namespace, Run: run, Identity: found[0]})
}

func (t *tx) Run(namespace, run string) (*idds.Run, error) {
	if r := t.runs[[2]string{namespace, run}]; r != nil {
		return r, nil
	}
	doc, err := t.get("SELECT doc FROM run WHERE namespace = ? AND run = ?", namespace, run)
	if doc == nil || err != nil {
		return nil, err
	}
	r := &idds.Run{Namespace: namespace}
	if err := json.Unmarshal(doc, r); err != nil {
		return nil, failed(err)
	}
	if r.Counts == nil {
		r.Counts = map[string]int64{}
	}
	t.runs[[2]string{namespace, run}] = r
	return r, nil
}

func (t *tx) PutRun(r *idds.Run) error {
	t.runs[[2]string{r.Namespace, r.RunID.String()}] = r
	return nil
}

func (t *tx) Histograms(namespace, run string) (hist.Set, error) {
	key := [2]string{namespace, run}
	if set, ok := t.histograms[key]; ok {
		return set, nil
	}
	doc, err := t.get("SELECT doc FROM histogram WHERE namespace = ? AND run = ?", namespace, run)
	if doc == nil || err != nil {
		return nil, err
	}
	var set hist.Set
	return set, failed(json.Unmarshal(doc, &set))
}

func (t *tx) PutHistograms(namespace, run string, set hist.Set) error {
	t.histograms[[2]string{namespace, run}] = set
	return nil
}

func (t *tx) PutWorker(w message.WorkerReport, at time.Time) error {
	return t.put(w, "INSERT OR REPLACE INTO worker VALUES (?, ?, ?, ?)", w.PilotID, w.Namespace, at.UnixMicro())
}

// flush writes what was gathered.
func (t *tx) flush() error {
	for key, r := range t.runs {
		if err := t.put(r, "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?)", key[0], key[1], r.Open()); err != nil {
			return err
		}
	}
	for key, set := range t.histograms {
		if err := t.put(set, "INSERT OR REPLACE INTO histogram VALUES (?, ?, ?)", key[0], key[1]); err != nil {
			return err
		}
	}
	return nil
}
