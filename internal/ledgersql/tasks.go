package ledgersql

import (
	"context"
	"database/sql"
	"encoding/json"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgertx"
)

// Tasks is the query for the rows of a filter, which [ScanTask] reads.
func Tasks(f ledger.TaskFilter) (query string, args []any) {
	var c clauses
	c.add("id > %s", f.After)
	if f.ID != 0 {
		c.add("id = %s", f.ID)
	}
	if f.Request != 0 {
		c.add("request = %s", f.Request)
	}
	c.equal("namespace", f.Namespace)
	c.equal("run", f.Run)
	c.equal("scope", f.Scope)
	c.equal("name", f.Name)
	query = "SELECT id, request, namespace, doc FROM task " + c.where() + " ORDER BY id" + c.limit(f.Limit)
	return query, c.args
}

// ScanTask reads a row of [Tasks].
func ScanTask(rows interface{ Scan(into ...any) error }) (row ledgertx.TaskRow, err error) {
	return row, rows.Scan(&row.ID, &row.Request, &row.Namespace, &row.Doc)
}

// Tasks are the workflow tasks of a filter.
func (r Reader) Tasks(ctx context.Context, f ledger.TaskFilter) ([]ledger.Task, error) {
	query, args := Tasks(f)
	return collect(ctx, r, func(rows *sql.Rows) (ledger.Task, error) {
		row, err := ScanTask(rows)
		if err != nil {
			return ledger.Task{}, err
		}
		return row.Task()
	}, query, args...)
}

// TaskMessages are what was left for a request, in the order of its coming.
func (r Reader) TaskMessages(ctx context.Context, namespace string, request int64) ([]ledger.TaskMessage, error) {
	return collect(ctx, r, func(rows *sql.Rows) (m ledger.TaskMessage, err error) {
		var doc []byte
		if err := rows.Scan(&m.Namespace, &m.RequestID, &doc); err != nil {
			return m, err
		}
		return m, json.Unmarshal(doc, &m)
	}, "SELECT namespace, request, doc FROM task_message WHERE namespace = $1 AND request = $2 ORDER BY id", ledger.Text(namespace), request)
}
