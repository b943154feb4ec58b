package message

import (
	"errors"
	"fmt"
	"slices"
)

// WorkflowTask is what the production transceiver asks iDDS for on /topic/panda.workers: a task with workers for a run
// (create_workflow_task), another number of them (adjust_worker), none any more (close_workflow_task).
type WorkflowTask struct {
	MsgType   string              `json:"msg_type"`
	RunID     RunID               `json:"run_id"`
	CreatedAt Timestamp           `json:"created_at"`
	Sender    string              `json:"sender,omitempty"`
	Namespace string              `json:"namespace,omitempty"`
	Content   WorkflowTaskContent `json:"content"`
}

// WorkflowTaskContent has what is said of workers; the rest of the message is for PanDA.
type WorkflowTaskContent struct {
	RunID RunID `json:"run_id,omitzero"`
	// CoreCount is the whole task's in adjust_worker.
	CoreCount Int `json:"core_count,omitzero"`
	// Workflow is where create_workflow_task has its parameters.
	Workflow struct {
		Content RunImminentWorkerContent `json:"content"`
	} `json:"workflow,omitzero"`
}

// IsWorkflowTask reports whether a msg_type is one of the three.
func IsWorkflowTask(msgType string) bool {
	return slices.Contains([]string{TypeCreateWorkflowTask, TypeAdjustWorker, TypeCloseWorkflowTask}, msgType)
}

// Run is the run number, from the envelope or else from the content.
func (m WorkflowTask) Run() RunID {
	if !m.RunID.IsZero() {
		return m.RunID
	}
	return m.Content.RunID
}

// Validate answers whether the message names a run.
func (m WorkflowTask) Validate() error {
	if !IsWorkflowTask(m.MsgType) {
		return fmt.Errorf("msg_type %q is none of a workflow task", m.MsgType)
	}
	if m.Run().IsZero() {
		return errors.New("run_id missing")
	}
	return nil
}

// Workers is how many workers create_workflow_task asks for: the production server makes one job of each.
func (m WorkflowTask) Workers() int {
	return RunImminentWorker{Content: m.Content.Workflow.Content}.Workers()
}
