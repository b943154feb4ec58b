package postgres

import (
	"github.com/jackc/pgx/v5"

	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/ledgertx"
)

func (r rows) Tasks(f ledger.TaskFilter) ([]ledgertx.TaskRow, error) {
	query, args := ledgersql.Tasks(f)
	found, err := r.tx.Query(r.ctx, query, args...)
	if err != nil {
		return nil, failed(err)
	}
	out, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (ledgertx.TaskRow, error) { return ledgersql.ScanTask(row) })
	return out, failed(err)
}

func (r rows) LastTask() (id int64, err error) {
	err = r.tx.QueryRow(r.ctx, "SELECT coalesce(max(id), 0) FROM task").Scan(&id)
	return id, failed(err)
}

func (r rows) PutTask(t ledgertx.TaskRow) error {
	return r.exec(`INSERT INTO task (id, request, namespace, run, scope, name, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, t.ID, t.Request, t.Namespace, t.Run, t.Scope, t.Name, string(t.Doc))
}

func (r rows) AddTaskMessage(namespace string, request int64, doc []byte) error {
	return r.exec("INSERT INTO task_message (namespace, request, doc) VALUES ($1, $2, $3)", namespace, request, string(doc))
}

func (r rows) CountTaskMessages(namespace string, request int64) (n int, err error) {
	err = r.tx.QueryRow(r.ctx, "SELECT count(*) FROM task_message WHERE namespace = $1 AND request = $2", namespace, request).Scan(&n)
	return n, failed(err)
}
