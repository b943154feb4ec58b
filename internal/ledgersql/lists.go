package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// FindRuns are the runs of a filter. The indexes of those in a state, and of one by its number, have each namespace by itself.
func (r Reader) FindRuns(ctx context.Context, f ledger.RunFilter) (out []ledger.Run, err error) {
	if f.Namespace != "" || len(f.States) == 0 && f.Run == "" {
		return r.runsIn(ctx, f)
	}
	namespaces, err := r.namespaces(ctx)
	if f.Descending {
		slices.Reverse(namespaces)
	}
	of, limit, after := f, cmp.Or(f.Limit, ledger.PageSize), ledger.Text(f.AfterNamespace)
	for _, of.Namespace = range namespaces {
		switch order := cmp.Compare(of.Namespace, after); {
		case after == "" || order == 0:
		case f.Descending == (order > 0): // before it
			continue
		default:
			of.AfterNamespace, of.AfterRun = "", ""
		}
		of.Limit = limit - len(out)
		some, err := r.runsIn(ctx, of)
		if err != nil {
			return nil, err
		}
		if out = append(out, some...); len(out) == limit {
			break
		}
	}
	return out, err
}

// runsIn are the runs of a filter: those of each state come from an index in their order, which has the others not in it.
func (r Reader) runsIn(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, error) {
	if len(f.States) < 2 {
		return r.runsOf(ctx, f)
	}
	var out []ledger.Run
	if err := r.still(ctx, func(r Reader) error {
		for _, state := range f.States {
			of := f
			of.States = []document.RunState{state}
			some, err := r.runsOf(ctx, of)
			if err != nil {
				return err
			}
			out = append(out, some...)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b ledger.Run) int {
		order := cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(ledger.Text(a.RunID.String()), ledger.Text(b.RunID.String())))
		if f.Descending {
			return -order
		}
		return order
	})
	return out[:min(len(out), cmp.Or(f.Limit, ledger.PageSize))], nil
}

// runsOf are the runs of a filter with one state, or any. Which they are is read of an index alone, and their documents after that: told to
// look for these at once SQLite takes the table, in which it goes through all runs of the namespace for the few in a state.
func (r Reader) runsOf(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, error) {
	var c clauses
	c.equal("namespace", f.Namespace)
	c.equal("run", f.Run)
	for _, state := range f.States {
		c.add("state = %s", string(state))
	}
	order, down := "namespace, run", ""
	after := []any{ledger.Text(f.AfterNamespace), ledger.Text(f.AfterRun)}
	if f.Descending {
		down = " DESC"
	}
	beyond := !f.Descending || f.AfterRun != "" // there is something after which they come
	if f.Namespace != "" {
		order = "run" // the namespace stands before it in each index
		at := cmp.Compare(ledger.Text(f.AfterNamespace), ledger.Text(f.Namespace))
		if beyond && (at > 0 && !f.Descending || at < 0 && f.Descending) {
			return nil, nil
		}
		beyond, after = beyond && at == 0, after[1:]
	}
	if where := ">"; beyond {
		if f.Descending {
			where = "<"
		}
		c.beside(order, where, after)
	}
	ordered := " ORDER BY " + strings.ReplaceAll(order, ",", down+",") + down
	return collect(ctx, r, scanRunWithDetector, "SELECT run.namespace, run.doc, detector.doc FROM (SELECT namespace, run FROM run "+c.where()+ordered+c.limit(f.Limit)+
		") AS found JOIN run USING (namespace, run) LEFT JOIN detector USING (namespace, run)"+ordered, c.args...)
}

// FindWorkers are the pilots of a filter.
func (r Reader) FindWorkers(ctx context.Context, f ledger.WorkerFilter) ([]document.Worker, error) {
	var c clauses
	c.equal("namespace", f.Namespace)
	c.equal("pilot", f.Pilot)
	c.equal("worker", f.Worker)
	if !f.SeenSince.IsZero() {
		c.add("seen >= %s", f.SeenSince.UnixMicro())
	}
	c.after("namespace, pilot", f.AfterNamespace, f.AfterPilot)
	return collect(ctx, r, scanWorker, "SELECT seen, doc FROM worker "+c.where()+" ORDER BY namespace, pilot"+c.limit(f.Limit), c.args...)
}

// Files are the STF files of a filter.
func (r Reader) Files(ctx context.Context, f ledger.FileFilter) ([]ledger.File, error) {
	limit, after := cmp.Or(f.Limit, ledger.PageSize), f.After.Text()
	if f.Namespace != "" && f.Run != "" { // also of a run of which only the data side has spoken
		of := ledger.Key{Namespace: f.Namespace, Run: f.Run}.Text()
		if f.Descending || of.Namespace == after.Namespace && of.Run == after.Run {
			of.Identity = after.Identity
		} else if (runKey{of.Namespace, of.Run}).less(after) {
			return nil, nil
		}
		return r.filesOfRun(ctx, of, f.Descending, limit)
	}
	runs := ledger.RunFilter{Namespace: f.Namespace, Run: f.Run, States: listed(ledger.Filter{Run: f.Run}), AfterNamespace: after.Namespace, AfterRun: after.Run}
	var out []ledger.File
	// The run of the last page may have more, if it is one of those that are asked for: a cursor is what anybody sends.
	if (f.Namespace == "" || after.Namespace == ledger.Text(f.Namespace)) && (f.Run == "" || after.Run == ledger.Text(f.Run)) {
		var err error
		if out, err = r.filesOfRun(ctx, after, false, limit); err != nil {
			return nil, err
		}
	}
	for len(out) < limit {
		page, err := r.FindRuns(ctx, runs)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if len(out) == limit {
				break
			}
			run := ledger.Key{Namespace: page[i].Namespace, Run: ledger.Text(page[i].RunID.String())}
			some, err := r.filesOfRun(ctx, run, false, limit-len(out))
			if err != nil {
				return nil, err
			}
			out, runs.AfterNamespace, runs.AfterRun = append(out, some...), run.Namespace, run.Run
		}
		if len(page) < ledger.PageSize {
			break
		}
	}
	return out, nil
}

// filesOfRun are the files of a run after one, or before it.
func (r Reader) filesOfRun(ctx context.Context, after ledger.Key, descending bool, limit int) ([]ledger.File, error) {
	if descending && after.Identity == "" { // the first page: U+10FFFF comes after all names
		after.Identity = "\U0010ffff"
	}
	sliced, err := r.sliced(ctx, after, descending, limit)
	if err != nil {
		return nil, err
	}
	announced, err := r.announced(ctx, after, descending, limit)
	return merge(sliced, announced, descending, limit), err
}

// sliced are the files of a run after one, or before it, as slices know them.
func (r Reader) sliced(ctx context.Context, after ledger.Key, descending bool, limit int) ([]ledger.File, error) {
	from, order := "filename > $3", "filename"
	if descending {
		from, order = "filename < $3", "filename DESC"
	}
	return collect(ctx, r, func(rows *sql.Rows) (file ledger.File, err error) {
		file.Namespace, file.Run = after.Namespace, after.Run
		var stf, created, finished int64
		err = rows.Scan(&file.Identity, &file.Slices, &file.Done, &file.Failed, &stf, &created, &finished, &file.Message)
		file.STFAt, file.FirstCreatedAt, file.LastFinishedAt = moment(stf), moment(created), moment(finished)
		return file, err
	}, `SELECT f.filename, f.n, f.done, f.failed, f.stf, f.created, f.finished, slice.message FROM (
		SELECT filename, count(*) AS n, count(CASE state WHEN 'done' THEN 1 END) AS done, count(CASE state WHEN 'failed' THEN 1 END) AS failed,
		max(stf) AS stf, min(created) AS created, max(finished) AS finished, max(id) AS id
		FROM slice WHERE namespace = $1 AND run = $2 AND `+from+` GROUP BY filename ORDER BY `+order+` LIMIT $4) AS f
		JOIN slice ON slice.id = f.id ORDER BY f.`+order, after.Namespace, after.Run, after.Identity, limit)
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Outcomes are told of every slice of a run.
func (r Reader) Outcomes(ctx context.Context, namespace, run string, each func(ledger.Outcome)) error {
	_, err := collect(ctx, r, func(rows *sql.Rows) (nothing struct{}, err error) {
		var o ledger.Outcome
		var taken, created, done, ended int64
		if err = rows.Scan(&o.Filename, &taken, &created, &done, &ended); err == nil {
			o.TakenAt, o.CreatedAt, o.DoneAt, o.EndedAt = moment(taken), moment(created), moment(done), moment(ended)
			each(o)
		}
		return nothing, err
	}, `SELECT filename, CASE stf WHEN 0 THEN created ELSE stf END, created,
		CASE state WHEN 'done' THEN finished ELSE 0 END, CASE WHEN state IN ('done', 'failed') THEN finished ELSE 0 END
		FROM slice WHERE namespace = $1 AND run = $2`, ledger.Text(namespace), ledger.Text(run))
	return err
}

// Failures counts the slices of a run, or of all, by what they failed with, also those that are done by now.
func (r Reader) Failures(ctx context.Context, namespace, run string) ([]ledger.FailureCount, error) {
	return collect(ctx, r, func(rows *sql.Rows) (c ledger.FailureCount, err error) {
		var state string
		err = rows.Scan(&c.Class, &c.Name, &state, &c.N)
		c.State = ledger.SliceState(state)
		return c, err
	}, `SELECT class, failure, state, count(*) FROM slice WHERE failure <> '' AND $1 IN ('', namespace) AND $2 IN ('', run)
		GROUP BY class, failure, state ORDER BY 1, 2, 3`, ledger.Text(namespace), ledger.Text(run))
}

// Tokens are all tokens that were made, those that are revoked or have expired too.
func (r Reader) Tokens(ctx context.Context) ([]access.Token, error) {
	return collect(ctx, r, scanDocument[access.Token], "SELECT doc FROM token ORDER BY id")
}

// AuditPage is the audit from its end, before a line; the number of the last one goes on.
func (r Reader) AuditPage(ctx context.Context, namespace string, before int64, limit int) (lines []access.AuditLine, next int64, err error) {
	type numbered struct {
		id   int64
		line access.AuditLine
	}
	list, err := collect(ctx, r, func(rows *sql.Rows) (n numbered, err error) {
		var doc []byte
		if err := rows.Scan(&n.id, &doc); err != nil {
			return n, err
		}
		return n, json.Unmarshal(doc, &n.line)
	}, "SELECT id, doc FROM audit WHERE $1 IN ('', namespace) AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3", ledger.Text(namespace), before, limit)
	for _, n := range list {
		lines = append(lines, n.line)
	}
	if len(list) == limit {
		next = list[len(list)-1].id
	}
	return lines, next, err
}

func scanDocument[T any](rows *sql.Rows) (v T, err error) {
	var doc []byte
	if err := rows.Scan(&doc); err != nil {
		return v, err
	}
	return v, json.Unmarshal(doc, &v)
}
