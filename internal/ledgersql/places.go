package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"tfpilot/internal/ledger"
)

// place is where an index has slices one after the other: by some columns with these values, and behind them by tail and number.
type place struct {
	index   string // what is true of all that is in the index, when it does not have all slices
	columns []string
	values  []any
	tail    []string
}

// with is a place within a place.
func (p place) with(column string, value any) place {
	p.columns, p.values = append(slices.Clip(p.columns), column), append(slices.Clip(p.values), value)
	return p
}

// first asks for the first slices of a place that come after one, which is named by tail and number, and are as further conditions say.
//
// Its last column is not compared with =, so that the order of the answer is that of the index and of nothing else: told to look for
// equal values in the order of the numbers, a database may go through all slices by their numbers. The other columns are, and the end of
// the last one is a bound of its own: of several columns at once PostgreSQL knows only where to begin, not where to end.
func (p place) first(after []any, limit int, further func(*clauses)) (query string, args []any) {
	var c clauses
	if p.index != "" {
		c.text = append(c.text, p.index)
	}
	last := len(p.columns) - 1
	for i, column := range p.columns[:last] {
		c.add(column+" = %s", p.values[i])
	}
	order := strings.Join(append(slices.Concat(p.columns[last:], p.tail), "id"), ", ")
	c.beside(order, ">", slices.Concat(p.values[last:], after))
	c.add(p.columns[last]+" <= %s", p.values[last])
	further(&c)
	return "SELECT run, id FROM slice " + c.where() + " ORDER BY " + order + c.limit(limit), c.args
}

// seated is a slice by its run and its number in the order of their coming.
type seated struct {
	run string
	id  int64
}

// firstOf are the first slices of several places.
func (r Reader) firstOf(ctx context.Context, places []place, after []any, limit int, further func(*clauses)) ([]int64, error) {
	var found []seated
	for _, p := range places {
		query, args := p.first(after, limit, further)
		some, err := collect(ctx, r, func(rows *sql.Rows) (s seated, err error) { return s, rows.Scan(&s.run, &s.id) }, query, args...)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b seated) int { return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.id, b.id)) })
	ids := make([]int64, min(len(found), limit))
	for i := range ids {
		ids[i] = found[i].id
	}
	return ids, nil
}

// places are where the slices of a filter are within a run: by what they failed with, by their file, or by their state.
func (r Reader) places(ctx context.Context, run runKey, f ledger.Filter) ([]place, error) {
	in := place{columns: []string{"namespace", "run"}, values: []any{run.Namespace, run.Run}}
	switch {
	case f.Class != "" || f.Failure != "":
		ways, troubled, err := r.ways(ctx, run, f)
		if err != nil {
			return nil, err
		}
		if fewer, err := r.fewerIn(ctx, run, f.States, troubled); err != nil || fewer {
			return byState(in, f.States), err
		}
		in.index = "failure <> ''"
		out := make([]place, len(ways))
		for i, way := range ways {
			out[i] = in.with("class", way[0]).with("failure", way[1])
		}
		return out, nil
	case f.Filename != "":
		return []place{in.with("filename", ledger.Text(ledger.FileName(f.Filename)))}, nil
	default:
		return byState(in, f.States), nil
	}
}

var allStates = []ledger.SliceState{ledger.Outstanding, ledger.Waiting, ledger.Done, ledger.Failed}

// byState is a place for each of some states, for all when none is named.
func byState(in place, states []ledger.SliceState) (out []place) {
	if len(states) == 0 {
		states = allStates
	}
	for _, state := range slices.Compact(slices.Sorted(slices.Values(states))) {
		out = append(out, in.with("state", string(state)))
	}
	return out
}

// ways are the ways to fail in a run that a filter means: class and name, and how many slices went these ways, also those that are done by now.
func (r Reader) ways(ctx context.Context, run runKey, f ledger.Filter) (ways [][2]string, troubled int, err error) {
	ways, err = collect(ctx, r, func(rows *sql.Rows) (way [2]string, err error) {
		n := 0
		err = rows.Scan(&way[0], &way[1], &n)
		troubled += n
		return way, err
	}, `SELECT class, failure, count(*) FROM slice WHERE failure <> '' AND namespace = $1 AND run = $2 AND $3 IN ('', class) AND $4 IN ('', failure)
		GROUP BY class, failure`, run.Namespace, run.Run, f.Class, f.Failure)
	return ways, troubled, err
}

// fewerIn reports whether a run has fewer slices than so many in some states: then these are read, and not those that failed on the way.
func (r Reader) fewerIn(ctx context.Context, run runKey, states []ledger.SliceState, than int) (bool, error) {
	if len(states) == 0 || slices.Contains(states, ledger.Done) {
		return false, nil
	}
	for _, state := range states {
		counted, err := r.ids(ctx, "SELECT count(*) FROM (SELECT id FROM slice WHERE namespace = $1 AND run = $2 AND state = $3 LIMIT $4) AS counted",
			run.Namespace, run.Run, string(state), max(0, than))
		if err != nil {
			return false, err
		}
		than -= int(counted[0])
	}
	return than > 0, nil
}
