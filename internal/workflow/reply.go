package workflow

import (
	"tfpilot/internal/message"
)

// Reply is the message that answers a request, but for what a sender adds of his own. Run numbers are echoed in the type in which they
// came.
func Reply(m message.WorkflowTask, a Answer) message.WorkflowReply {
	out := message.WorkflowReply{RunID: m.Run()}
	c := m.Content
	switch {
	case a.Fault != nil && (m.MsgType != message.TypeCloseWorkflowTask || a.Fault.Kind != NoObject):
		out.MsgType = message.TypeWorkflowTaskError
		out.Content = message.WorkflowTaskError{
			RunID: out.RunID, RequestID: c.RequestID, TransformID: c.TransformID, WorkloadID: c.WorkloadID, Request: m.MsgType,
			Error: string(a.Fault.Kind), Message: a.Fault.Text,
		}
	case m.MsgType == message.TypeCreateWorkflowTask:
		created := a.Tasks[0].Created()
		created.RunID = out.RunID
		out.MsgType, out.Content = message.TypeCreatedWorkflowTask, created
	case m.MsgType == message.TypeAdjustWorker:
		t := &a.Tasks[0]
		adjusted := message.AdjustedWorker{
			RunID: run(m, a), RequestID: t.Request, TransformID: t.ID, WorkloadID: t.ID, CoreCount: c.CoreCount, MemoryPerCore: c.MemoryPerCore, NumWorkers: t.Workers,
		}
		if c.Site != "" {
			site := string(c.Site)
			adjusted.Site = &site
		}
		out.MsgType, out.RunID, out.Content = message.TypeAdjustedWorker, adjusted.RunID, adjusted
	default:
		closed := message.ClosedWorkflowTask{
			RunID: run(m, a), RequestID: c.RequestID, TransformID: c.TransformID, WorkloadID: c.WorkloadID, Status: message.TaskNotFound,
		}
		if len(a.Tasks) > 0 {
			closed.Status = message.TaskToCancel
		}
		if len(a.Tasks) == 1 {
			t := &a.Tasks[0]
			closed.RequestID, closed.TransformID, closed.WorkloadID = message.NewInt(t.Request), message.NewInt(t.ID), message.NewInt(t.ID)
		}
		out.MsgType, out.RunID, out.Content = message.TypeClosedWorkflowTask, closed.RunID, closed
	}
	return out
}

// run is the run of a request: as it named it, or else that of the task.
func run(m message.WorkflowTask, a Answer) message.RunID {
	if m.Run().IsZero() && len(a.Tasks) > 0 {
		return a.Tasks[0].RunID
	}
	return m.Run()
}
