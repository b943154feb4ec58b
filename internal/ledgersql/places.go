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
func (p place) first(c *clauses, after []any, limit int, further func(*clauses)) string {
	last := len(p.columns) - 1
	p.equal(c, last)
	order := strings.Join(append(slices.Concat(p.columns[last:], p.tail), "id"), ", ")
	c.beside(order, ">", slices.Concat(p.values[last:], after))
	c.add(p.columns[last]+" <= %s", p.values[last])
	further(c)
	return "SELECT run, id FROM slice " + c.where() + " ORDER BY " + order + c.limit(limit)
}

// equal adds the conditions on what comes first in the index.
func (p place) equal(c *clauses, columns int) {
	c.text = nil
	if p.index != "" {
		c.text = append(c.text, p.index)
	}
	for i, column := range p.columns[:columns] {
		c.add(column+" = %s", p.values[i])
	}
}

// seated is a slice by its run and its number in the order of their coming.
type seated struct {
	run string
	id  int64
}

// placesAtOnce is how many places a query looks into: SQLite takes at most 500.
const placesAtOnce = 100

// firstOf are the first slices of several places.
func (r Reader) firstOf(ctx context.Context, places []place, after []any, limit int, further func(*clauses)) ([]int64, error) {
	var found []seated
	for some := range slices.Chunk(places, placesAtOnce) {
		var c clauses
		queries := make([]string, len(some))
		for i, p := range some {
			queries[i] = "SELECT run, id FROM (" + p.first(&c, after, limit, further) + ") AS found"
		}
		all, err := collect(ctx, r, func(rows *sql.Rows) (s seated, err error) { return s, rows.Scan(&s.run, &s.id) },
			strings.Join(queries, " UNION ALL "), c.args...)
		if err != nil {
			return nil, err
		}
		found = append(found, all...)
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
		return r.failuresOf(ctx, run, in, f)
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

// failuresOf are the places of a run that have what failed as a filter says: by that, by the state, or by the pilot, whichever has the fewest.
func (r Reader) failuresOf(ctx context.Context, run runKey, in place, f ledger.Filter) ([]place, error) {
	best, least, err := r.ways(ctx, run, in, f)
	if err != nil {
		return nil, err
	}
	var others [][]place
	if len(f.States) > 0 && !slices.Contains(f.States, ledger.Done) { // most are done
		others = append(others, byState(in, f.States))
	}
	if f.Pilot != "" {
		of := f
		of.Run = run.Run
		places, _ := ofPilotIn(run.Namespace, of, seated{run: run.Run})
		others = append(others, places)
	}
	for _, other := range others {
		n, err := r.count(ctx, other, least)
		if err != nil {
			return nil, err
		}
		if n < least {
			best, least = other, n
		}
	}
	return best, nil
}

// ways are the places of the ways to fail in a run that a filter means, class and name, and how many slices went these ways, also those that
// are done by now.
func (r Reader) ways(ctx context.Context, run runKey, in place, f ledger.Filter) (places []place, troubled int, err error) {
	in.index = "failure <> ''"
	places, err = collect(ctx, r, func(rows *sql.Rows) (p place, err error) {
		var class, failure string
		n := 0
		err = rows.Scan(&class, &failure, &n)
		troubled += n
		return in.with("class", class).with("failure", failure), err
	}, `SELECT class, failure, count(*) FROM slice WHERE failure <> '' AND namespace = $1 AND run = $2 AND $3 IN ('', class) AND $4 IN ('', failure)
		GROUP BY class, failure`, run.Namespace, run.Run, f.Class, f.Failure)
	return places, troubled, err
}

// count is how many slices some places have, most at most.
func (r Reader) count(ctx context.Context, places []place, most int) (int, error) {
	var c clauses
	queries := make([]string, len(places))
	for i, p := range places {
		p.equal(&c, len(p.columns))
		queries[i] = "SELECT id FROM slice " + c.where()
	}
	counted, err := r.ids(ctx, "SELECT count(*) FROM ("+strings.Join(queries, " UNION ALL ")+c.limit(most)+") AS counted", c.args...)
	if err != nil {
		return 0, err
	}
	return int(counted[0]), nil
}
