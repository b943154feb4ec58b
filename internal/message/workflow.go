package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tfpilot/internal/rawjson"
)

// WorkflowTask is what the production system asks iDDS for, on /topic/panda.workers or over REST: a task with workers for a run
// (create_workflow_task), another number of them (adjust_worker), none any more (close_workflow_task).
type WorkflowTask struct {
	MsgType   string              `json:"msg_type"`
	RunID     RunID               `json:"run_id"`
	CreatedAt Timestamp           `json:"created_at"`
	Sender    string              `json:"sender,omitempty"`
	Namespace string              `json:"namespace,omitempty"`
	Content   WorkflowTaskContent `json:"content"`
}

// WorkflowTaskContent names the task that is meant, by any of its numbers or by its run, and says what is to change.
type WorkflowTaskContent struct {
	RunID       RunID `json:"run_id,omitzero"`
	RequestID   Int   `json:"request_id,omitzero"`
	TransformID Int   `json:"transform_id,omitzero"`
	WorkloadID  Int   `json:"workload_id,omitzero"`
	// CoreCount of adjust_worker is the same quantity as that of the workflow, scaled; NumWorkers is ours, and says the workers
	// themselves. MemoryPerCore is MB.
	CoreCount     Int   `json:"core_count,omitzero"`
	NumWorkers    Int   `json:"num_workers,omitzero"`
	MemoryPerCore Float `json:"memory_per_core,omitzero"`
	Site          Text  `json:"site,omitempty"`
	// Workflow is what create_workflow_task asks for, as it came: the value of the key of this name or, without one, the content.
	Workflow json.RawMessage `json:"workflow,omitempty"`
}

// UnmarshalJSON accepts both places of a workflow.
func (c *WorkflowTaskContent) UnmarshalJSON(b []byte) error {
	type plain WorkflowTaskContent
	var p plain
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if *c = WorkflowTaskContent(p); len(c.Workflow) > 0 && string(c.Workflow) != "null" {
		return nil
	}
	c.Workflow = nil
	var o rawjson.Object
	if err := json.Unmarshal(b, &o); err == nil && o.Value("scope") != nil {
		c.Workflow = slices.Clone(b)
	}
	return nil
}

// Workflow is what is said of workers in a workflow; the rest of it is for PanDA.
type Workflow struct {
	Scope   Text            `json:"scope"`
	Name    Text            `json:"name"`
	Content WorkflowContent `json:"content"`
}

// WorkflowContent is the announcement of the run, to which the transceiver has added.
type WorkflowContent struct {
	RunID             RunID `json:"run_id"`
	CoreCount         Int   `json:"core_count"`
	MemoryPerCore     Float `json:"memory_per_core"`
	Site              Text  `json:"site"`
	TargetWorkerCount Int   `json:"target_worker_count"`
	NumWorkers        Int   `json:"num_workers"`
	NumCoresPerWorker Int   `json:"num_cores_per_worker"`
}

// IsWorkflowTask reports whether a msg_type is one of the three.
func IsWorkflowTask(msgType string) bool {
	return slices.Contains([]string{TypeCreateWorkflowTask, TypeAdjustWorker, TypeCloseWorkflowTask}, msgType)
}

// IsWorkflowReply reports whether a msg_type is one of the answers of an iDDS.
func IsWorkflowReply(msgType string) bool {
	return slices.Contains([]string{TypeCreatedWorkflowTask, TypeAdjustedWorker, TypeClosedWorkflowTask, TypeWorkflowTaskError}, msgType)
}

// Run is the run number, from the envelope or else from the content.
func (m WorkflowTask) Run() RunID {
	if !m.RunID.IsZero() {
		return m.RunID
	}
	if !m.Content.RunID.IsZero() || m.MsgType != TypeCreateWorkflowTask {
		return m.Content.RunID
	}
	w, _ := m.Workflow()
	return w.Content.RunID
}

// Workflow reads what create_workflow_task asks for.
func (m WorkflowTask) Workflow() (w Workflow, err error) {
	if len(m.Content.Workflow) == 0 {
		return w, errors.New("workflow missing")
	}
	return w, json.Unmarshal(m.Content.Workflow, &w)
}

// Validate answers whether the message names a run, or a task.
func (m WorkflowTask) Validate() error {
	if !IsWorkflowTask(m.MsgType) {
		return fmt.Errorf("msg_type %q is none of a workflow task", m.MsgType)
	}
	c := m.Content
	if m.Run().IsZero() && (m.MsgType == TypeCreateWorkflowTask || c.RequestID.IsZero() && c.TransformID.IsZero() && c.WorkloadID.IsZero()) {
		return errors.New("run_id missing")
	}
	return nil
}

// Workers is how many workers are asked for: the production server makes one job of each. Where nobody says workers, but cores, there
// is a worker for as many of them as one has.
func (c WorkflowContent) Workers() int {
	for _, n := range []Int{c.TargetWorkerCount, c.NumWorkers} {
		if n.Int64() > 0 {
			return int(n.Int64())
		}
	}
	each := max(1, c.NumCoresPerWorker.Int64())
	return max(1, int((c.CoreCount.Int64()+each-1)/each))
}

// WorkflowReply answers a WorkflowTask: Content is one of the four below.
type WorkflowReply struct {
	MsgType   string    `json:"msg_type"`
	RunID     RunID     `json:"run_id"`
	CreatedAt Timestamp `json:"created_at"`
	Sender    string    `json:"sender,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Content   any       `json:"content"`
}

// CreatedWorkflowTask has the numbers of a task.
type CreatedWorkflowTask struct {
	RunID        RunID `json:"run_id"`
	RequestID    int64 `json:"request_id"`
	TransformID  int64 `json:"transform_id"`
	ProcessingID int64 `json:"processing_id"`
	InputCollID  int64 `json:"input_coll_id"`
	OutputCollID int64 `json:"output_coll_id"`
	// WorkloadID is a number of ours: there is no PanDA task behind, and null would say that its submission has failed.
	WorkloadID int64 `json:"workload_id"`
}

// AdjustedWorker is what a task was adjusted to. What was not asked for is null. NumWorkers is ours: how many workers that makes.
type AdjustedWorker struct {
	RunID         RunID   `json:"run_id"`
	RequestID     int64   `json:"request_id"`
	TransformID   int64   `json:"transform_id"`
	WorkloadID    int64   `json:"workload_id"`
	CoreCount     Int     `json:"core_count"`
	MemoryPerCore Float   `json:"memory_per_core"`
	Site          *string `json:"site"`
	NumWorkers    int     `json:"num_workers"`
}

// The states of a closed task.
const (
	TaskToCancel = "ToCancel"
	TaskNotFound = "NotFound"
)

// ClosedWorkflowTask echoes the numbers by which a task was named, those of the task where there is one.
type ClosedWorkflowTask struct {
	RunID       RunID  `json:"run_id"`
	RequestID   Int    `json:"request_id"`
	TransformID Int    `json:"transform_id"`
	WorkloadID  Int    `json:"workload_id"`
	Status      string `json:"status"`
}

// WorkflowTaskError says why nothing came of a request. It is ours: other programs do not know its type, and ignore it.
type WorkflowTaskError struct {
	RunID       RunID  `json:"run_id"`
	RequestID   Int    `json:"request_id"`
	TransformID Int    `json:"transform_id"`
	WorkloadID  Int    `json:"workload_id"`
	Request     string `json:"request"` // the msg_type that was asked with
	// Error is the exception that an iDDS raises for it, and Message its words.
	Error   string `json:"error"`
	Message string `json:"message"`
}
