package panda

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"tfpilot/internal/access"
	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

// done is what iDDS answers to what has no result.
type done struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

func (s *Server) create(r *http.Request) (any, *refusal) {
	var in struct {
		Workflow json.RawMessage `json:"workflow"`
	}
	if no := readBody(r, &in); no != nil {
		return nil, no
	}
	return s.createTask(r.Context(), asker(r), in.Workflow)
}

func (s *Server) createTask(ctx context.Context, by workflow.Asker, asked json.RawMessage) (any, *refusal) {
	if len(asked) == 0 || string(asked) == "null" {
		return nil, refuse(workflow.BadRequest, "'workflow' key is required in the request body")
	}
	m := message.WorkflowTask{MsgType: message.TypeCreateWorkflowTask, Content: message.WorkflowTaskContent{Workflow: asked}}
	a, no := s.do(ctx, by, m)
	if no != nil {
		return nil, no
	}
	n := a.Tasks[0].Created()
	return map[string]int64{
		"request_id": n.RequestID, "transform_id": n.TransformID, "processing_id": n.ProcessingID, "input_coll_id": n.InputCollID,
		"output_coll_id": n.OutputCollID, "workload_id": n.WorkloadID,
	}, nil
}

// do has the service do what is asked for.
func (s *Server) do(ctx context.Context, by workflow.Asker, m message.WorkflowTask) (a workflow.Answer, no *refusal) {
	if !access.PrincipalOf(ctx).Sees(s.cfg.Namespace) {
		return a, refuse(workflow.NoPermission, "the token is of another namespace than %.200q, which this idds asks for workers in", s.cfg.Namespace)
	}
	m.Sender = by.Name
	a, err := s.cfg.Desk.Task(ctx, m, by)
	switch {
	case err != nil:
		return a, broken(err)
	case a.Fault != nil:
		return a, refuseFault(a.Fault)
	default:
		return a, nil
	}
}

// parameters are those of adjust and close.
type parameters struct {
	Parameters struct {
		message.WorkflowTaskContent

		// Content is the message that the transceiver would have sent.
		Content struct {
			RunID      message.RunID `json:"run_id"`
			NumWorkers message.Int   `json:"num_workers"`
		} `json:"content"`
	} `json:"parameters"`
}

// UnmarshalJSON reads both parts: the embedded one has a way of its own to be read, which would be taken for that of all.
func (p *parameters) UnmarshalJSON(b []byte) error {
	var raw struct {
		Parameters json.RawMessage `json:"parameters"`
	}
	if err := json.Unmarshal(b, &raw); err != nil || len(raw.Parameters) == 0 {
		return err
	}
	var more struct {
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(raw.Parameters, &p.Parameters.WorkflowTaskContent); err != nil {
		return err
	}
	if err := json.Unmarshal(raw.Parameters, &more); err != nil || len(more.Content) == 0 {
		return err
	}
	return json.Unmarshal(more.Content, &p.Parameters.Content)
}

// content is what is asked for, of the task that the path names.
func (p parameters) content(request, transform, workload message.Int) message.WorkflowTaskContent {
	c := p.Parameters.WorkflowTaskContent
	for _, n := range []struct {
		in   message.Int
		into *message.Int
	}{{request, &c.RequestID}, {transform, &c.TransformID}, {workload, &c.WorkloadID}} {
		if !n.in.IsZero() {
			*n.into = n.in
		}
	}
	if c.RunID.IsZero() {
		c.RunID = p.Parameters.Content.RunID
	}
	if c.NumWorkers.IsZero() {
		c.NumWorkers = p.Parameters.Content.NumWorkers
	}
	c.Workflow = nil
	return c
}

func (s *Server) adjust(r *http.Request) (any, *refusal) {
	request, transform, workload, no := numbers(r)
	var in parameters
	if no == nil {
		no = readBody(r, &in)
	}
	if no != nil {
		return nil, no
	}
	return s.adjustTask(r.Context(), asker(r), in.content(request, transform, workload))
}

func (s *Server) adjustTask(ctx context.Context, by workflow.Asker, c message.WorkflowTaskContent) (any, *refusal) {
	_, no := s.do(ctx, by, message.WorkflowTask{MsgType: message.TypeAdjustWorker, Content: c})
	return done{0, "adjusted successfully"}, no
}

func (s *Server) close(r *http.Request) (any, *refusal) {
	request, transform, workload, no := numbers(r)
	var in parameters
	if no == nil {
		no = readBody(r, &in)
	}
	if no != nil {
		return nil, no
	}
	return s.closeTask(r.Context(), asker(r), in.content(request, transform, workload))
}

func (s *Server) closeTask(ctx context.Context, by workflow.Asker, c message.WorkflowTaskContent) (any, *refusal) {
	_, no := s.do(ctx, by, message.WorkflowTask{MsgType: message.TypeCloseWorkflowTask, Content: c})
	return done{0, "closed successfully"}, no
}

// numbers are those of a path.
func numbers(r *http.Request) (request, transform, workload message.Int, no *refusal) {
	for _, n := range []struct {
		name string
		into *message.Int
	}{{"request", &request}, {"transform", &transform}, {"workload", &workload}} {
		text := r.PathValue(n.name)
		if null(text) {
			continue
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v <= 0 {
			return request, transform, workload, refuse(workflow.BadRequest, "%s_id %.40q is neither a number nor null", n.name, text)
		}
		*n.into = message.NewInt(v)
	}
	return request, transform, workload, nil
}

// null says that part of a path is no number. The client of iDDS writes its None for some of them.
func null(text string) bool { return text == "" || text == "null" || text == "None" }
