package panda

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

// about is what a message is about.
type about struct {
	request, workload, transform message.Int
	internal                     string
}

// aboutOf is what a path says.
func aboutOf(r *http.Request) (a about, no *refusal) {
	if a.request, a.transform, a.workload, no = numbers(r); no != nil {
		return a, no
	}
	if a.internal = r.PathValue("internal"); null(a.internal) {
		a.internal = ""
	}
	return a, a.check()
}

func (a about) check() *refusal {
	if a.request.IsZero() {
		return refuse(workflow.BadRequest, "request_id should not be None")
	}
	if len(a.internal) > 200 {
		return refuse(workflow.BadRequest, "internal_id is longer than 200 bytes")
	}
	return nil
}

func (s *Server) leave(r *http.Request) (any, *refusal) {
	a, no := aboutOf(r)
	var body json.RawMessage
	if no == nil {
		no = readBody(r, &body)
	}
	if no == nil {
		no = s.leaveMessages(r.Context(), asker(r), a, body)
	}
	return map[string]int64{"request_id": a.request.Int64()}, no
}

// leaveMessages keeps one message, or each of a list.
func (s *Server) leaveMessages(ctx context.Context, by workflow.Asker, a about, body json.RawMessage) *refusal {
	if !access.PrincipalOf(ctx).Sees(s.cfg.Namespace) {
		return refuse(workflow.NoPermission, "the token is of another namespace")
	}
	var list []json.RawMessage
	switch body = bytes.TrimSpace(body); {
	case bytes.HasPrefix(body, []byte("{")):
		list = []json.RawMessage{body}
	case json.Unmarshal(body, &list) != nil || list == nil:
		return refuse(workflow.BadRequest, "a message is an object, or a list of them")
	}
	messages := make([]ledger.TaskMessage, len(list))
	for i, content := range list {
		var command struct {
			Command json.RawMessage `json:"command"`
		}
		if json.Unmarshal(content, &command) == nil && command.Command != nil {
			return refuse(workflow.BadRequest, "commands are not taken as messages here; a task is ended by PUT /workflow_task/REQUEST/close")
		}
		messages[i] = ledger.TaskMessage{
			RequestID: a.request.Int64(), WorkloadID: a.workload.Int64(), TransformID: a.transform.Int64(), InternalID: a.internal, Content: content,
		}
	}
	if len(messages) == 0 {
		return nil
	}
	f, err := s.cfg.Desk.Leave(ctx, messages, by)
	switch {
	case err != nil:
		return broken(err)
	case f != nil:
		return refuseFault(f)
	default:
		return nil
	}
}

func (s *Server) read(r *http.Request) (any, *refusal) {
	a, no := aboutOf(r)
	if no != nil {
		return nil, no
	}
	return s.readMessages(r.Context(), a)
}

// readMessages are those that fit; what is not said fits all.
func (s *Server) readMessages(ctx context.Context, a about) (any, *refusal) {
	out := []json.RawMessage{}
	if !access.PrincipalOf(ctx).Sees(s.cfg.Namespace) {
		return out, nil
	}
	list, err := s.cfg.Messages.TaskMessages(ctx, s.cfg.Namespace, a.request.Int64())
	if err != nil {
		return nil, broken(err)
	}
	fits := func(asked message.Int, n int64) bool { return asked.IsZero() || asked.Int64() == n }
	for _, m := range list {
		if fits(a.workload, m.WorkloadID) && fits(a.transform, m.TransformID) && (a.internal == "" || a.internal == m.InternalID) {
			out = append(out, m.Content)
		}
	}
	return out, nil
}
