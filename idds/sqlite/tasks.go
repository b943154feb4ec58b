package sqlite

import (
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/ledgertx"
)

func (r rows) Tasks(f ledger.TaskFilter) (out []ledgertx.TaskRow, err error) {
	query, args := ledgersql.Tasks(f)
	list, err := r.w.conn.QueryContext(r.ctx, query, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer list.Close()
	for list.Next() {
		row, err := ledgersql.ScanTask(list)
		if err != nil {
			return nil, failed(err)
		}
		out = append(out, row)
	}
	return out, failed(list.Err())
}

func (r rows) LastTask() (id int64, err error) {
	_, err = r.read("SELECT coalesce(max(id), 0) FROM task", nil, &id)
	return id, err
}

func (r rows) PutTask(t ledgertx.TaskRow) error {
	return r.write(`INSERT INTO task (id, request, namespace, run, scope, name, doc) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, t.ID, t.Request, t.Namespace, t.Run, t.Scope, t.Name, string(t.Doc))
}

func (r rows) AddTaskMessage(namespace string, request int64, doc []byte) error {
	return r.write("INSERT INTO task_message (namespace, request, doc) VALUES (?, ?, ?)", namespace, request, string(doc))
}

func (r rows) CountTaskMessages(namespace string, request int64) (n int, err error) {
	_, err = r.read("SELECT count(*) FROM task_message WHERE namespace = ? AND request = ?", []any{namespace, request}, &n)
	return n, err
}
