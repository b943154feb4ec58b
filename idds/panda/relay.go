package panda

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"tfpilot/internal/access"
	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

// command is one that the PanDA server relays: a function of iDDS' client.
type command struct {
	parameters []string // in their order
	roles      []access.Role
	do         func(ctx context.Context, s *Server, by workflow.Asker, args arguments) (any, *refusal)
	// guard is what the manager of iDDS' client refuses itself, by a pair that begins with -1.
	guard func(args arguments) string
	// paired says that the manager answers with a pair that begins with true.
	paired bool
}

var commands = map[string]command{
	"ping": {roles: anybody, do: func(context.Context, *Server, workflow.Asker, arguments) (any, *refusal) { return ping(nil) }},
	"get_metainfo": {
		parameters: []string{"name"}, roles: anybody, paired: true,
		do: func(ctx context.Context, s *Server, _ workflow.Asker, args arguments) (any, *refusal) {
			return s.metainfoOf(ctx, args.text("name"))
		},
	},
	"create_workflow_task": {
		parameters: []string{"workflow"}, roles: operators,
		do: func(ctx context.Context, s *Server, by workflow.Asker, args arguments) (any, *refusal) {
			return s.createTask(ctx, by, args["workflow"])
		},
	},
	"adjust_worker": {
		parameters: []string{"request_id", "transform_id", "workload_id", "parameters"}, roles: operators, guard: neither,
		do: func(ctx context.Context, s *Server, by workflow.Asker, args arguments) (any, *refusal) {
			c, no := args.content()
			if no != nil {
				return nil, no
			}
			return s.adjustTask(ctx, by, c)
		},
	},
	"close_workflow_task": {
		parameters: []string{"request_id", "parameters"}, roles: operators,
		guard: func(args arguments) string {
			if args.null("request_id") {
				return "request_id is None"
			}
			return ""
		},
		do: func(ctx context.Context, s *Server, by workflow.Asker, args arguments) (any, *refusal) {
			c, no := args.content()
			if no != nil {
				return nil, no
			}
			return s.closeTask(ctx, by, c)
		},
	},
	"send_messages": {
		parameters: []string{"request_id", "workload_id", "transform_id", "internal_id", "msgs"}, roles: operators, guard: neither, paired: true,
		do: func(ctx context.Context, s *Server, by workflow.Asker, args arguments) (any, *refusal) {
			a, no := args.about()
			if no == nil {
				no = s.leaveMessages(ctx, by, a, args["msgs"])
			}
			return nil, no
		},
	},
	"get_messages": {
		parameters: []string{"request_id", "workload_id", "transform_id", "internal_id"}, roles: anybody, guard: neither, paired: true,
		do: func(ctx context.Context, s *Server, _ workflow.Asker, args arguments) (any, *refusal) {
			a, no := args.about()
			if no != nil {
				return nil, no
			}
			return s.readMessages(ctx, a)
		},
	},
}

// neither refuses a call that names no request and no workload.
func neither(args arguments) string {
	if args.null("request_id") && args.null("workload_id") {
		return "Both request_id and workload_id are None. One of them should not be None"
	}
	return ""
}

// relayed is what became of a call: Value is what the function of iDDS' client returns, Failed why there was none that did.
type relayed struct {
	value  any
	failed string
	// forbidden is said with a status of its own.
	forbidden string
}

// relay does what a call asks for, as the PanDA server does it with iDDS' client.
func (s *Server) relay(r *http.Request) relayed {
	c, err := readCall(r)
	if err != nil {
		return relayed{failed: err.Error()}
	}
	cmd, ok := commands[c.name]
	if !ok {
		return relayed{failed: fmt.Sprintf("%.40q is not a command that this idds has", c.name)}
	}
	args, err := c.bind(cmd.parameters)
	if err != nil {
		return relayed{failed: "failed to execute command with " + err.Error()}
	}
	p, roles := access.PrincipalOf(r.Context()), cmd.roles
	if c.name == "get_metainfo" && args.text("name") == "prompt_broker" {
		roles = pilots
	}
	if !slices.Contains(roles, p.Role) {
		return relayed{forbidden: fmt.Sprintf("a token of role %s is needed: idds token --state STATE %[1]s (the token's role is %s)", roles[0], p.Role)}
	}
	if c.manager && cmd.guard != nil {
		if why := cmd.guard(args); why != "" {
			return relayed{value: []any{-1, why}}
		}
	}
	value, no := cmd.do(r.Context(), s, asker(r), args)
	switch {
	case c.wrapped && c.manager:
		value = wrap(value, no)
	case no != nil && c.manager:
		return relayed{value: []any{false, no.text}}
	case no != nil:
		return relayed{failed: "failed to execute command with " + no.text}
	}
	if c.manager && cmd.paired {
		value = []any{true, value}
	}
	return relayed{value: value}
}

// relayLegacy answers as the PanDA server's old interface does: with a pair of flag and value.
func (s *Server) relayLegacy(w http.ResponseWriter, r *http.Request) {
	out := s.relay(r)
	switch {
	case out.forbidden != "":
		refuseLegacy(w, r, http.StatusForbidden, out.forbidden)
		return
	case out.failed != "":
		out.value = []any{false, out.failed}
	default:
		out.value = []any{true, out.value}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	encode(w, out.value)
}

// refuseLegacy answers who may not relay. PanDA has one status for all who may not.
func refuseLegacy(w http.ResponseWriter, _ *http.Request, status int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(forbidden(status))
	_, _ = io.WriteString(w, "ERROR : Token authentication failed. "+why)
}

func forbidden(status int) int {
	if status == http.StatusUnauthorized {
		return http.StatusForbidden
	}
	return status
}

// modern is an answer of the PanDA server's new interface.
type modern struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

func (s *Server) relayModern(w http.ResponseWriter, r *http.Request) {
	out := s.relay(r)
	if out.forbidden != "" {
		refuseModern(w, r, http.StatusForbidden, out.forbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	encode(w, modern{out.failed == "", out.failed, out.value})
}

func refuseModern(w http.ResponseWriter, _ *http.Request, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(forbidden(status))
	encode(w, modern{Message: why})
}

func encode(w io.Writer, document any) {
	_ = json.NewEncoder(w).Encode(document) // or the client is gone
}

// content is that of adjust and close.
func (args arguments) content() (message.WorkflowTaskContent, *refusal) {
	var none message.WorkflowTaskContent
	var in parameters
	if raw := args["parameters"]; len(raw) > 0 {
		if json.Unmarshal(append(append([]byte(`{"parameters":`), raw...), '}'), &in) != nil {
			return none, refuse(workflow.BadRequest, "parameters cannot be read")
		}
	}
	a, no := args.numbers()
	if no != nil {
		return none, no
	}
	return in.content(a.request, a.transform, a.workload), nil
}
