package workflow

import (
	"fmt"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// Leave keeps messages for whoever works on a request: all of them or none.
func (l Rules) Leave(tx ledger.Tx, messages []ledger.TaskMessage, by Asker, now time.Time) (a Answer, err error) {
	m := messages[0]
	tasks, err := tx.Tasks(ledger.TaskFilter{Namespace: m.Namespace, Request: m.RequestID, Limit: 1})
	if err != nil {
		return a, err
	}
	if len(tasks) == 0 {
		a.Fault = fault(NoObject, "there is no request %d", m.RequestID)
		return a, nil
	}
	n, err := tx.CountTaskMessages(m.Namespace, m.RequestID)
	if err != nil {
		return a, err
	}
	if n+len(messages) > maxMessages {
		a.Fault = fault(Conflict, "request %d has %d messages, and no more than %d are kept", m.RequestID, n, maxMessages)
		return a, nil
	}
	for _, m := range messages {
		m.At, m.By = now.UTC(), by.Name
		if err := tx.AddTaskMessage(m); err != nil {
			return a, err
		}
	}
	line := access.AuditLine{
		At: now.UTC(), Who: by.Name, Role: by.Role, From: by.From, Did: "message.add", To: fmt.Sprintf("request %d", m.RequestID), Namespace: m.Namespace,
	}
	a.Changes = []access.AuditLine{line}
	return a, tx.AddAudit(line)
}

// TakeOver makes a run want what its announcement asked for when nobody has made a workflow task of it in a time. It says whether it
// did.
func (l Rules) TakeOver(tx ledger.Tx, namespace, runID string, after time.Duration, now time.Time) (bool, error) {
	r, err := tx.Run(namespace, runID)
	if r == nil || err != nil || !Waits(r, after, now) || l.DemandFrom != ledger.WorkflowTask {
		return false, err
	}
	r.Workers = r.Announced
	return true, tx.PutRun(r)
}

// Waits reports whether a run has waited for a workflow task for longer than a time.
func Waits(r *ledger.Run, after time.Duration, now time.Time) bool {
	return r.State == document.RunOpen && r.Tasks == 0 && r.Workers == 0 && r.Announced > 0 && now.Sub(r.AnnouncedAt) >= after
}
