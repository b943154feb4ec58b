package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// runKey names a run.
type runKey struct{ Namespace, Run string }

// less reports whether all slices of the run are before a slice.
func (k runKey) less(than ledger.Key) bool {
	return cmp.Or(cmp.Compare(k.Namespace, than.Namespace), cmp.Compare(k.Run, than.Run)) < 0
}

// Slices are the slices of a filter: run after run, and in the order of their coming within a run. Identities are random: an index in
// their order would be written all over with every batch.
//
// It takes two steps. Where an index has slices of the filter one after the other (a [place]) the first are read there, of the index
// alone; of the first of all these the documents are read.
func (r Reader) Slices(ctx context.Context, f ledger.Filter) (list []ledger.Slice, err error) {
	f.Namespace, f.Run, f.Limit = ledger.Text(f.Namespace), ledger.Text(f.Run), cmp.Or(max(0, f.Limit), ledger.PageSize)
	f.Pilot, f.Class, f.Failure = ledger.Text(f.Pilot), ledger.Text(f.Class), ledger.Text(f.Failure)
	f.After = f.After.Text() // it comes from anybody too
	err = r.still(ctx, func(r Reader) error {
		after, err := r.seat(ctx, f.After)
		if err != nil {
			return err
		}
		find := r.inRuns
		if f.Pilot != "" {
			find = r.ofPilot
		}
		ids, err := find(ctx, f, after)
		if err == nil {
			list, err = r.slicesByID(ctx, ids)
		}
		return err
	})
	return list, err
}

// byKey finds one slice by the index of the keys: no other has this order.
const byKey = "WHERE namespace = $1 AND run = $2 AND identity >= $3 AND identity <= $3 ORDER BY identity LIMIT 1"

// seat is the number of a slice in the order of their coming, 0 for one that is not there: its run begins anew then.
func (r Reader) seat(ctx context.Context, k ledger.Key) (int64, error) {
	if k == (ledger.Key{}) {
		return 0, nil
	}
	ids, err := r.ids(ctx, "SELECT id FROM slice "+byKey, k.Namespace, k.Run, k.Identity)
	if len(ids) == 0 {
		return 0, err
	}
	return ids[0], nil
}

// inRuns finds the slices of a filter run by run.
func (r Reader) inRuns(ctx context.Context, f ledger.Filter, after int64) (out []int64, err error) {
	for run, err := range r.runsFrom(ctx, f) {
		if err != nil {
			return nil, err
		}
		from := int64(0)
		if run == (runKey{f.After.Namespace, f.After.Run}) {
			from = after
		}
		places, err := r.places(ctx, run, f)
		if err != nil {
			return nil, err
		}
		ids, err := r.firstOf(ctx, places, f, []any{from}, f.Limit-len(out))
		if err != nil {
			return nil, err
		}
		if out = append(out, ids...); len(out) == f.Limit {
			break
		}
	}
	return out, nil
}

// runsAtOnce is how many runs are asked for that may have slices of a filter.
const runsAtOnce = 100

// runsFrom are the runs of a filter, from that of its cursor on, in which there may be any of its slices: those in few of the states may
// be far between, and the accounting of the runs says which of them have any.
func (r Reader) runsFrom(ctx context.Context, f ledger.Filter) iter.Seq2[runKey, error] {
	return func(yield func(runKey, error) bool) {
		k := runKey{f.Namespace, f.Run}
		if k.Namespace != "" && k.Run != "" {
			if !k.less(f.After) {
				yield(k, nil)
			}
			return
		}
		// The run of the cursor may have more. A cursor is what anybody sends: it opens nothing that the filter does not.
		if k = (runKey{f.After.Namespace, f.After.Run}); k != (runKey{}) && cmp.Or(f.Namespace, k.Namespace) == k.Namespace && cmp.Or(f.Run, k.Run) == k.Run {
			if !yield(k, nil) {
				return
			}
		}
		page := ledger.RunFilter{Namespace: f.Namespace, Run: f.Run, States: listed(f), AfterNamespace: f.After.Namespace, AfterRun: f.After.Run, Limit: runsAtOnce}
		for {
			runs, err := r.FindRuns(ctx, page)
			if err != nil {
				yield(runKey{}, err)
				return
			}
			for i := range runs {
				k := runKey{runs[i].Namespace, ledger.Text(runs[i].RunID.String())}
				page.AfterNamespace, page.AfterRun = k.Namespace, k.Run
				if mayHave(&runs[i], f) && !yield(k, nil) {
					return
				}
			}
			if len(runs) < page.Limit {
				return
			}
		}
	}
}

// listed are the states of runs of which a list has rows: of those that nobody has announced only when it is asked for by number. In one
// that is closed all slices are final.
func listed(f ledger.Filter) []document.RunState {
	final := func(state ledger.SliceState) bool { return state == ledger.Done || state == ledger.Failed }
	switch {
	case f.Run != "":
		return nil
	case len(f.States) > 0 && !slices.ContainsFunc(f.States, final):
		return []document.RunState{document.RunOpen, document.RunEnding}
	default:
		return document.KnownRuns()
	}
}

// mayHave reports whether a run's accounting says that it has slices of a filter: in one of its states and, where it asks for failures, any
// of which an attempt may have come to nothing.
func mayHave(run *ledger.Run, f ledger.Filter) bool {
	if (f.Class != "" || f.Failure != "") && !run.Troubled() {
		return false
	}
	return len(f.States) == 0 || slices.ContainsFunc(f.States, func(state ledger.SliceState) bool {
		switch state {
		case ledger.Done:
			return run.Done > 0
		case ledger.Failed:
			return run.Failed > 0
		default:
			return run.Outstanding() > 0
		}
	})
}

// ofPilot finds the slices that a pilot had last, which may have worked on many runs.
func (r Reader) ofPilot(ctx context.Context, f ledger.Filter, after int64) (out []int64, err error) {
	namespaces := []string{f.Namespace}
	if f.Namespace == "" {
		if namespaces, err = r.namespaces(ctx); err != nil {
			return nil, err
		}
	}
	for _, namespace := range namespaces {
		if namespace < f.After.Namespace {
			continue
		}
		from := seated{}
		if namespace == f.After.Namespace {
			from = seated{f.After.Run, after}
		}
		places, behind := ofPilotIn(namespace, f, from)
		ids, err := r.firstOf(ctx, places, f, behind, f.Limit-len(out))
		if err != nil {
			return nil, err
		}
		if out = append(out, ids...); len(out) == f.Limit {
			break
		}
	}
	return out, nil
}

// distinctNamespaces are those of all runs in their order, each found in the index behind the one before: DISTINCT would read all of it.
const distinctNamespaces = `WITH RECURSIVE found (namespace) AS (
	SELECT min(namespace) FROM run UNION ALL SELECT (SELECT min(run.namespace) FROM run WHERE run.namespace > found.namespace) FROM found
	WHERE found.namespace IS NOT NULL) SELECT namespace FROM found WHERE namespace IS NOT NULL`

func (r Reader) namespaces(ctx context.Context) ([]string, error) {
	return collect(ctx, r, func(rows *sql.Rows) (ns string, err error) { return ns, rows.Scan(&ns) }, distinctNamespaces)
}

func (r Reader) ids(ctx context.Context, query string, args ...any) ([]int64, error) {
	return collect(ctx, r, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) }, query, args...)
}

const sliceColumns = "SELECT id, namespace, run, identity, doc, message FROM slice "

// asked are the numbers of slices that a query asks for at once: a number of arguments is a statement of its own, and few are kept ready.
var asked = []int{1, 10, 100, ledger.PageSize}

// slicesByID are slices by their numbers, in the order of these.
func (r Reader) slicesByID(ctx context.Context, ids []int64) ([]ledger.Slice, error) {
	at := make(map[int64]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	out := make([]ledger.Slice, len(ids))
	for some := range slices.Chunk(ids, ledger.PageSize) {
		n, _ := slices.BinarySearch(asked, len(some))
		places, args := make([]string, asked[n]), make([]any, asked[n])
		for i := range args {
			places[i], args[i] = fmt.Sprintf("$%d", i+1), some[min(i, len(some)-1)]
		}
		found, err := r.numbered(ctx, "WHERE id IN ("+strings.Join(places, ", ")+")", args...)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			out[at[s.id]] = s.Slice
		}
	}
	return out, nil
}

// numbered is a slice with its number in the order of their coming.
type numbered struct {
	ledger.Slice

	id int64
}

func (r Reader) numbered(ctx context.Context, where string, args ...any) ([]numbered, error) {
	return collect(ctx, r, func(rows *sql.Rows) (s numbered, err error) {
		var doc []byte
		if err := rows.Scan(&s.id, &s.Key.Namespace, &s.Key.Run, &s.Key.Identity, &doc, (*[]byte)(&s.Message)); err != nil {
			return s, err
		}
		return s, json.Unmarshal(doc, &s.Slice)
	}, sliceColumns+where, args...)
}

func (r Reader) slices(ctx context.Context, where string, args ...any) ([]ledger.Slice, error) {
	found, err := r.numbered(ctx, where, args...)
	out := make([]ledger.Slice, len(found))
	for i := range found {
		out[i] = found[i].Slice
	}
	return out, err
}

// Slice is one slice, nil when it is not known.
func (r Reader) Slice(ctx context.Context, k ledger.Key) (*ledger.Slice, error) {
	list, err := r.slices(ctx, byKey, ledger.Text(k.Namespace), ledger.Text(k.Run), ledger.Text(k.Identity))
	if len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}
