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

// failed is true of all in the indexes of what slices failed with.
const failed = "failure <> ''"

// with is a place within a place.
func (p place) with(column string, value any) place {
	p.columns, p.values = append(slices.Clip(p.columns), column), append(slices.Clip(p.values), value)
	return p
}

// first asks for the first slices of a place that are of a filter and come after one, which is named by tail and number.
//
// Its last column is not compared with =, so that the order of the answer is that of the index and of nothing else: told to look for
// equal values in the order of the numbers, a database may go through all slices by their numbers. The other columns are, and the end of
// the last one is a bound of its own: of several columns at once PostgreSQL knows only where to begin, not where to end.
func (p place) first(c *clauses, f ledger.Filter, after []any, limit int) string {
	last := len(p.columns) - 1
	p.equal(c, last)
	order := strings.Join(append(slices.Concat(p.columns[last:], p.tail), "id"), ", ")
	c.beside(order, ">", slices.Concat(p.values[last:], after))
	c.add(p.columns[last]+" <= %s", p.values[last])
	p.others(c, f)
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

// others adds what a filter says of columns that the place does not have.
func (p place) others(c *clauses, f ledger.Filter) {
	for _, of := range []struct{ column, value string }{{"filename", ledger.FileName(f.Filename)}, {"pilot", f.Pilot}, {"class", f.Class}, {"failure", f.Failure}} {
		if !slices.Contains(p.columns, of.column) {
			c.equal(of.column, of.value)
		}
	}
	if !slices.Contains(p.columns, "state") {
		oneOf(c, f.States)
	}
}

// placesAtOnce is how many places a query looks into: SQLite takes at most 500.
const placesAtOnce = 100

// firstOf are the first slices of a filter in several places.
func (r Reader) firstOf(ctx context.Context, places []place, f ledger.Filter, after []any, limit int) ([]int64, error) {
	var found []seated
	for some := range slices.Chunk(places, placesAtOnce) {
		var c clauses
		queries := make([]string, len(some))
		for i, p := range some {
			queries[i] = "SELECT run, id FROM (" + p.first(&c, f, after, limit) + ") AS found"
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
		return r.ways(ctx, in, f)
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

// ways are the places of the ways to fail that a filter means, state, class and name, also of slices that are done by now.
func (r Reader) ways(ctx context.Context, in place, f ledger.Filter) ([]place, error) {
	in.index = failed
	var c clauses
	in.equal(&c, len(in.columns))
	oneOf(&c, f.States)
	c.equal("class", f.Class)
	c.equal("failure", f.Failure)
	return collect(ctx, r, func(rows *sql.Rows) (p place, err error) {
		var state, class, failure string
		err = rows.Scan(&state, &class, &failure)
		return in.with("state", state).with("class", class).with("failure", failure), err
	}, "SELECT state, class, failure FROM slice "+c.where()+" GROUP BY state, class, failure", c.args...)
}

// ofPilotIn are the places of a pilot's slices in a namespace, in one run or in all, and what comes before those that are asked for.
func ofPilotIn(namespace string, f ledger.Filter, from seated) (places []place, behind []any) {
	in := place{columns: []string{"namespace", "pilot"}, values: []any{namespace, f.Pilot}}
	if f.Class != "" || f.Failure != "" { // few slices fail: their index has all states
		in.index = failed
		places = []place{in}
	} else {
		in.index = "pilot <> ''"
		places = byState(in, f.States)
	}
	switch {
	case f.Run == "":
		for i := range places {
			places[i].tail = []string{"run"}
		}
		return places, []any{from.run, from.id}
	case from.run > f.Run:
		return nil, nil
	case from.run < f.Run:
		from.id = 0
	}
	for i := range places {
		places[i] = places[i].with("run", f.Run)
	}
	return places, []any{from.id}
}
