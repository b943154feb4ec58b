package ledger

import (
	"encoding/json"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// Task is a workflow task: workers for a run, as the production system asks an iDDS for them. There is one of a scope, a name and a
// run. The numbers that an iDDS has for its parts all follow from its own.
type Task struct {
	ID        int64         `json:"-"`
	Request   int64         `json:"-"` // the number of the first task of the scope and the name
	Namespace string        `json:"-"`
	RunID     message.RunID `json:"run_id"`
	Scope     string        `json:"scope"`
	Name      string        `json:"name"` // without the run's number
	document.TaskSize
	// First is what it was made with: of its core_count, that of a later adjustment is a multiple.
	First document.TaskSize `json:"first"`
	// CoresPerWorker is 0 when nobody said it.
	CoresPerWorker int       `json:"cores_per_worker,omitempty"`
	CreatedBy      string    `json:"created_by"`
	CreatedAt      time.Time `json:"created_at"`
	ClosedAt       time.Time `json:"closed_at,omitzero"` // zero while it is open
	// Asked is the workflow as it came.
	Asked   json.RawMessage       `json:"asked"`
	Changes []document.TaskChange `json:"changes,omitempty"` // the latest of them
}

// Open reports whether it still asks for workers.
func (t *Task) Open() bool { return t.ClosedAt.IsZero() }

// Created are the numbers of a task.
func (t *Task) Created() message.CreatedWorkflowTask {
	return message.CreatedWorkflowTask{
		RunID: t.RunID, RequestID: t.Request, TransformID: t.ID, ProcessingID: t.ID, InputCollID: 2*t.ID - 1, OutputCollID: 2 * t.ID, WorkloadID: t.ID,
	}
}

// Document is a task as the world sees it.
func (t *Task) Document() document.Task {
	n := t.Created()
	state := "open"
	if !t.Open() {
		state = "closed"
	}
	return document.Task{
		Namespace: t.Namespace, RunID: t.RunID.String(), RequestID: n.RequestID, TransformID: n.TransformID, ProcessingID: n.ProcessingID,
		InputCollID: n.InputCollID, OutputCollID: n.OutputCollID, WorkloadID: n.WorkloadID, Scope: t.Scope, Name: t.Name, State: state, TaskSize: t.TaskSize,
		CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt, ClosedAt: t.ClosedAt, Changes: t.Changes,
	}
}

// TaskFilter selects tasks in the order of their numbers; what is empty selects all.
type TaskFilter struct {
	Namespace, Run, Scope, Name string
	ID, Request                 int64
	// After is the task after which to go on.
	After int64
	Limit int // 0: 1000
}

// TaskMessage is what somebody has left for whoever works on a request. It is kept, and nothing else happens with it.
type TaskMessage struct {
	Namespace   string          `json:"-"`
	RequestID   int64           `json:"-"`
	WorkloadID  int64           `json:"workload_id,omitempty"`
	TransformID int64           `json:"transform_id,omitempty"`
	InternalID  string          `json:"internal_id,omitempty"`
	At          time.Time       `json:"at"`
	By          string          `json:"by"`
	Content     json.RawMessage `json:"content"`
}
