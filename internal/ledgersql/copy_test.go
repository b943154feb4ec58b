package ledgersql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledgersql"
)

// state is what a store holds: rows by table.
type state map[string][][]any

// rows is a result of a database.
type rows struct {
	list [][]any
	at   int
}

func (r *rows) Next() bool { r.at++; return r.at <= len(r.list) }
func (r *rows) Err() error { return nil }

func (r *rows) Scan(into ...any) error {
	for i, v := range r.list[r.at-1] {
		switch p := into[i].(type) {
		case *string:
			*p = v.(string)
		case *int64:
			*p = v.(int64)
		case *bool:
			*p = v.(bool)
		case *[]byte:
			*p = v.([]byte)
		default:
			return fmt.Errorf("%T", p)
		}
	}
	return nil
}

func (s state) Count(_ context.Context, t ledgersql.Table) (int64, error) {
	return int64(len(s[t.Name])), nil
}

func (s state) Rows(_ context.Context, t ledgersql.Table) (*ledgersql.Cursor, error) {
	return ledgersql.NewCursor(t, &rows{list: s[t.Name]}, func() {}), nil
}

// store is a target; spoil changes what it is given.
type store struct {
	state

	spoil     func(table string, row []any) (keep bool)
	commit    func() // when it is asked to
	committed bool
}

func (s *store) Load(_ context.Context, t ledgersql.Table, from *ledgersql.Cursor) error {
	for from.Next() {
		values, err := from.Values()
		if err != nil {
			return err
		}
		row := append([]any{}, values...)
		if s.spoil == nil || s.spoil(t.Name, row) {
			s.state[t.Name] = append(s.state[t.Name], row)
		}
	}
	return from.Err()
}

func (s *store) Commit(ctx context.Context) error {
	if s.commit != nil {
		s.commit()
	}
	s.committed = ctx.Err() == nil
	return ctx.Err()
}

// whole is a state with something in every table.
func whole() state {
	out := state{}
	for _, t := range ledgersql.Tables() {
		for n := range 3 {
			row := make([]any, len(t.Columns))
			for i, c := range t.Columns {
				switch c.Kind {
				case ledgersql.Int:
					row[i] = int64(n)
				case ledgersql.Bool:
					row[i] = n == 1
				case ledgersql.Bytes:
					row[i] = []byte{byte(n), 0xff}
				default:
					row[i] = fmt.Sprint(c.Name, n)
				}
			}
			out[t.Name] = append(out[t.Name], row)
		}
	}
	return out
}

func TestACopyIsKeptOnlyWhenItIsWhatWasCopied(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(table string, row []any) bool{
		"a row less": func(table string, row []any) bool { return table != "request" || row[0] != "namespace1" },
		"a text": func(table string, row []any) bool {
			if table == "slice" {
				row[2] = strings.Replace(row[2].(string), "1", "7", 1)
			}
			return true
		},
		"a number": func(table string, row []any) bool {
			if table == "worker" {
				row[len(row)-1] = int64(7)
			}
			return true
		},
		"a byte": func(table string, row []any) bool {
			if table == "slice" {
				row[len(row)-1] = []byte{0xff}
			}
			return true
		},
		"letters that moved to the next column": func(table string, row []any) bool {
			if table == "actor" {
				row[0], row[1] = row[0].(string)+"d", row[1].(string)[1:]
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &store{state: state{}, spoil: spoil}
			_, err := ledgersql.Copy(t.Context(), whole(), to, func(string, int64, int64) {})
			if exitcode.From(err) != exitcode.StoreFailed || !strings.Contains(err.Error(), "the copy is not what was copied") || to.committed {
				t.Errorf("%v, committed %v", err, to.committed)
			}
		})
	}
}

func TestAnInterruptEndsACopyBeforeItsCommitAndNotAmidIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	to := &store{state: state{}, commit: cancel}
	if _, err := ledgersql.Copy(ctx, whole(), to, func(string, int64, int64) {}); err != nil || !to.committed {
		t.Errorf("amid: %v, committed %v", err, to.committed)
	}
	to = &store{state: state{}}
	if _, err := ledgersql.Copy(ctx, whole(), to, func(string, int64, int64) {}); err == nil || to.committed {
		t.Errorf("before: %v, committed %v", err, to.committed)
	}
}

func TestACopySaysWhatItHasCopied(t *testing.T) {
	t.Parallel()
	to := &store{state: state{}}
	told := map[string]int64{}
	totals, err := ledgersql.Copy(t.Context(), whole(), to, func(table string, done, of int64) { told[table] = done - of })
	if err != nil || !to.committed || len(totals) != len(ledgersql.Tables()) {
		t.Fatalf("%v, committed %v, %v", totals, to.committed, err)
	}
	for _, total := range totals {
		left, ok := told[total.Table]
		if total.Rows != 3 || len(total.SHA256) != 64 || !ok || left != 0 {
			t.Errorf("%+v, told %d left", total, left)
		}
	}
}

func TestASchemaGoesOnlyForward(t *testing.T) {
	t.Parallel()
	schema := ledgersql.Schema{{Version: ledgersql.Version - 1}, {Version: ledgersql.Version}}
	for found, want := range map[int]int{0: 2, ledgersql.Version - 1: 1, ledgersql.Version: 0} {
		if steps, err := schema.From(found); err != nil || len(steps) != want {
			t.Errorf("from %d: %v, %v", found, steps, err)
		}
	}
	for _, found := range []int{1, ledgersql.Version + 1} {
		if _, err := schema.From(found); err == nil {
			t.Errorf("schema %d was taken", found)
		}
	}
}
