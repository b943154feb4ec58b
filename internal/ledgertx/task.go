package ledgertx

import "tfpilot/internal/ledger"

// TaskRow is a task as a store has it; its number is 0 for one that is new.
type TaskRow struct {
	ID, Request                 int64
	Namespace, Run, Scope, Name string
	Doc                         []byte
}

// Task reads a row.
func (r TaskRow) Task() (t ledger.Task, err error) {
	if err := decode(r.Doc, &t); err != nil {
		return t, err
	}
	t.ID, t.Request, t.Namespace = r.ID, r.Request, r.Namespace
	return t, nil
}

// Tasks are the tasks of a filter.
func (b *Batch) Tasks(f ledger.TaskFilter) ([]ledger.Task, error) {
	rows, err := b.rows.Tasks(f)
	if err != nil {
		return nil, err
	}
	out := make([]ledger.Task, len(rows))
	for i, row := range rows {
		if out[i], err = row.Task(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PutTask writes a task, and gives a new one its number.
func (b *Batch) PutTask(t *ledger.Task) error {
	if t.ID == 0 {
		last, err := b.rows.LastTask() // nobody else writes meanwhile
		if err != nil {
			return err
		}
		t.ID = last + 1
	}
	if t.Request == 0 {
		t.Request = t.ID
	}
	doc, err := encode(t)
	if err != nil {
		return err
	}
	return b.rows.PutTask(TaskRow{
		ID: t.ID, Request: t.Request, Namespace: ledger.Text(t.Namespace), Run: ledger.Text(t.RunID.String()), Scope: ledger.Text(t.Scope), Name: ledger.Text(t.Name), Doc: doc,
	})
}

// AddTaskMessage keeps a message.
func (b *Batch) AddTaskMessage(m ledger.TaskMessage) error {
	doc, err := encode(m)
	if err != nil {
		return err
	}
	return b.rows.AddTaskMessage(ledger.Text(m.Namespace), m.RequestID, doc)
}

// CountTaskMessages counts the messages of a request.
func (b *Batch) CountTaskMessages(namespace string, request int64) (int, error) {
	return b.rows.CountTaskMessages(ledger.Text(namespace), request)
}
