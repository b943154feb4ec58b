package ledgersql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"tfpilot/internal/exitcode"
)

// Source is a state of a store that stands still while it is read.
type Source interface {
	Count(ctx context.Context, t Table) (int64, error)
	Rows(ctx context.Context, t Table) (*Cursor, error)
}

// Target is an empty store that takes a whole state, in one transaction: all of it or nothing.
type Target interface {
	// Load writes all rows of a cursor, Rows reads what was written.
	Load(ctx context.Context, t Table, rows *Cursor) error
	Rows(ctx context.Context, t Table) (*Cursor, error)
	Commit(ctx context.Context) error
}

// Total is what was copied of a table, and its checksum.
type Total struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Copy brings a whole state from one store to another, reads it back, and commits it only if every table has the same rows. progress
// is told now and then of a table how many of its rows are done.
func Copy(ctx context.Context, from Source, to Target, progress func(table string, done, of int64)) ([]Total, error) {
	var totals []Total
	for _, t := range Tables() {
		of, err := from.Count(ctx, t)
		if err != nil {
			return nil, err
		}
		written, err := load(ctx, t, from, to, func(done int64) { progress(t.Name, done, of) })
		if err != nil {
			return nil, fmt.Errorf("copying the table %s: %w", t.Name, err)
		}
		found, err := digest(ctx, t, to)
		if err != nil {
			return nil, fmt.Errorf("reading back the table %s: %w", t.Name, err)
		}
		if written != found || written.Rows != of {
			return nil, exitcode.New(exitcode.StoreFailed, "the copy is not what was copied, and is dropped: the table %s has %d rows with checksum %.16s, of %d rows with %.16s",
				t.Name, found.Rows, found.SHA256, of, written.SHA256)
		}
		totals = append(totals, written)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// From here on it is no longer interrupted: nobody could say then whether there is a copy.
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	return totals, to.Commit(short)
}

// commitLimit is how long a whole state may take to be committed; one that takes longer has lost its server.
const commitLimit = 10 * time.Minute

func load(ctx context.Context, t Table, from Source, to Target, progress func(done int64)) (Total, error) {
	rows, err := from.Rows(ctx, t)
	if err != nil {
		return Total{}, err
	}
	defer rows.Close()
	rows.progress = progress
	if err := to.Load(ctx, t, rows); err != nil {
		return Total{}, err
	}
	progress(rows.n)
	return rows.total(), rows.Err()
}

// digest counts a table's rows and sums them up.
func digest(ctx context.Context, t Table, of Target) (Total, error) {
	rows, err := of.Rows(ctx, t)
	if err != nil {
		return Total{}, err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.total(), rows.Err()
}

// scanner is a result of database/sql, or of a driver itself.
type scanner interface {
	Next() bool
	Scan(into ...any) error
	Err() error
}

// Cursor goes over the rows of a table and sums them up on the way.
type Cursor struct {
	table    Table
	rows     scanner
	close    func()
	values   []any
	sum      hash.Hash
	n        int64
	err      error
	progress func(done int64)
}

// NewCursor is a cursor on the result of [Table.Select].
func NewCursor(t Table, rows scanner, closeRows func()) *Cursor {
	return &Cursor{table: t, rows: rows, close: closeRows, values: make([]any, len(t.Columns)), sum: sha256.New()}
}

// Close ends it, also before its end.
func (c *Cursor) Close() { c.close() }

// Err is why Next said that there is nothing more, nil at the end.
func (c *Cursor) Err() error { return c.err }

// Values are the present row: string, int64, bool and []byte.
func (c *Cursor) Values() ([]any, error) { return c.values, nil }

// progressRows is after how many rows it is told how far a copy is.
const progressRows = 1000

// Next goes to the next row.
func (c *Cursor) Next() bool {
	if c.err != nil || !c.rows.Next() {
		if c.err == nil {
			c.err = c.rows.Err()
		}
		return false
	}
	if c.err = c.scan(); c.err != nil {
		return false
	}
	if c.n++; c.progress != nil && c.n%progressRows == 0 {
		c.progress(c.n)
	}
	return true
}

// scan reads a row and adds it to the sum, each value behind its length: no two rows look alike.
func (c *Cursor) scan() error {
	into := make([]any, len(c.values))
	for i, column := range c.table.Columns {
		switch column.Kind {
		case Int:
			into[i] = new(int64)
		case Bool:
			into[i] = new(bool)
		case Bytes:
			into[i] = new([]byte)
		default:
			into[i] = new(string)
		}
	}
	if err := c.rows.Scan(into...); err != nil {
		return err
	}
	for i, v := range into {
		switch v := v.(type) {
		case *int64:
			c.values[i] = *v
			c.add(binary.BigEndian.AppendUint64(nil, uint64(*v)))
		case *bool:
			c.values[i] = *v
			c.add(fmt.Append(nil, *v))
		case *[]byte:
			c.values[i] = *v
			c.add(*v)
		case *string:
			c.values[i] = *v
			c.add([]byte(*v))
		}
	}
	return nil
}

func (c *Cursor) add(value []byte) {
	c.sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(value))))
	c.sum.Write(value)
}

func (c *Cursor) total() Total { return Total{c.table.Name, c.n, hex.EncodeToString(c.sum.Sum(nil))} }

// Snapshot is a [Source] within a transaction that sees one state.
type Snapshot struct{ tx *sql.Tx }

// NewSnapshot reads in a transaction.
func NewSnapshot(tx *sql.Tx) Snapshot { return Snapshot{tx} }

// Count counts the rows of a table.
func (s Snapshot) Count(ctx context.Context, t Table) (n int64, err error) {
	err = s.tx.QueryRowContext(ctx, "SELECT count(*) FROM "+t.Name).Scan(&n)
	return n, err
}

// Rows are all rows of a table.
func (s Snapshot) Rows(ctx context.Context, t Table) (*Cursor, error) {
	rows, err := s.tx.QueryContext(ctx, t.Select()) //nolint:rowserrcheck // the cursor does
	if err != nil {
		return nil, err
	}
	return NewCursor(t, rows, func() { _ = rows.Close() }), nil
}

// MakeEmpty makes a store ready to take another's state: its name goes, and it may hold nothing else.
func MakeEmpty(ctx context.Context, of interface {
	Count(ctx context.Context, t Table) (int64, error)
}, exec func(statement string) error,
) error {
	for _, t := range Tables() {
		n, err := of.Count(ctx, t)
		if err != nil {
			return err
		}
		if n > 0 && t.Name != "name" {
			return exitcode.WithNext(fmt.Errorf("it is not empty: its table %s has %d rows, and a whole state goes only into an empty store", t.Name, n),
				"name an empty store, or move what is there away")
		}
	}
	return exec("DELETE FROM name")
}
