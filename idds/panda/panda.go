// Package panda speaks as the iDDS of the production system does, and as its PanDA server does that relays to it: their paths, headers,
// errors and JSON; and its agents find here where they send the lines of their logs ([AgentLogs]). What is asked is done by the service;
// nothing is kept here. Its routes are mounted where it is known who asks ([access.PrincipalOf]).
package panda

import (
	"context"
	"net"
	"net/http"
	"strings"

	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/workflow"
)

// Desk does what is asked for.
type Desk interface {
	Task(ctx context.Context, m message.WorkflowTask, by workflow.Asker) (workflow.Answer, error)
	Leave(ctx context.Context, messages []ledger.TaskMessage, by workflow.Asker) (*workflow.Fault, error)
}

// Messages reads what was left for a request.
type Messages interface {
	TaskMessages(ctx context.Context, namespace string, request int64) ([]ledger.TaskMessage, error)
}

// Config is what the interface needs.
type Config struct {
	Desk     Desk
	Messages Messages
	// Broker is the broker configuration of somebody, with the login of his namespace.
	Broker func(p access.Principal) (metainfo.PromptBroker, error)
	// Namespace is that of the service: whoever may see only another has no task here.
	Namespace string
}

// Server answers requests.
type Server struct{ cfg Config }

// New makes a server.
func New(cfg Config) *Server { return &Server{cfg} }

// Route is one path, and who may ask for it. Refused answers who may not.
type Route struct {
	Pattern string
	Roles   []access.Role // anybody when empty
	Handler http.Handler
	Refused func(w http.ResponseWriter, r *http.Request, status int, why string)
}

var (
	anybody   = access.Roles()
	pilots    = []access.Role{access.Pilot}
	operators = []access.Role{access.Operator}
)

// base is what the paths of an iDDS lie below, where its web server is not its own.
const base = "/idds"

// Routes are all paths: those of iDDS with and without [base], but for /ping and /metainfo/prompt_broker, which have others without it
// (see [Dialect]), and those of the PanDA server.
func (s *Server) Routes() []Route {
	below := []Route{
		{Pattern: "POST /workflow_task", Roles: operators, Handler: s.rest(s.create)},
		{Pattern: "PUT /workflow_task/{request}/{transform}/{workload}/adjust", Roles: operators, Handler: s.rest(s.adjust)},
		{Pattern: "PUT /workflow_task/{request}/close", Roles: operators, Handler: s.rest(s.close)},
		{Pattern: "PUT /workflow_task/{request}/{workload}/close", Roles: operators, Handler: s.rest(s.close)},
		{Pattern: "GET /message/{request}/{workload}/{transform}/{internal}", Roles: anybody, Handler: s.rest(s.read)},
		{Pattern: "POST /message/{request}/{workload}/{transform}/{internal}", Roles: operators, Handler: s.rest(s.leave)},
		{Pattern: "GET /auth/url/{vo}", Handler: s.rest(noSignIn)},
		{Pattern: "GET /auth/url/{vo}/{type}", Handler: s.rest(noSignIn)},
		{Pattern: "GET /auth/token/{vo}/{code}", Handler: s.rest(noDevice)},
		{Pattern: "GET /auth/token/{vo}/{code}/{interval}", Handler: s.rest(noDevice)},
		{Pattern: "GET /auth/token/{vo}/{code}/{interval}/{expires}", Handler: s.rest(noDevice)},
		{Pattern: "POST /auth/token/{vo}", Handler: s.rest(noRefresh)},
	}
	all := []Route{
		{Pattern: "GET " + base + "/ping", Handler: s.rest(ping)},
		{Pattern: "GET " + base + "/metainfo/{name}", Roles: anybody, Handler: s.rest(s.metainfo)},
		{Pattern: "/metainfo/{name}", Roles: anybody, Handler: s.rest(s.metainfo)},
		{Pattern: base + "/", Handler: s.rest(noPath)},
		{Pattern: "POST /server/panda/relay_idds_command", Roles: anybody, Handler: http.HandlerFunc(s.relayLegacy)},
		{Pattern: "POST /api/v1/idds/relay_idds_command", Roles: anybody, Handler: http.HandlerFunc(s.relayModern)},
	}
	for _, r := range below {
		method, path, _ := strings.Cut(r.Pattern, " ")
		with := r
		with.Pattern = method + " " + base + path
		all = append(all, r, with)
	}
	for i := range all {
		switch {
		case strings.Contains(all[i].Pattern, "/server/panda/"):
			all[i].Refused = refuseLegacy
		case strings.Contains(all[i].Pattern, "/api/v1/idds/"):
			all[i].Refused = refuseModern
		default:
			all[i].Refused = refuseREST
		}
	}
	return all
}

// Dialect sends the client of iDDS, which says in each request how it proves who it is, to the paths of iDDS also where it has left
// out [base]: /ping and /metainfo/prompt_broker have answers there that are not as it wants them.
func Dialect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(headerType) != "" && (r.URL.Path == "/ping" || strings.HasPrefix(r.URL.Path, "/metainfo/")) {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = base+r.URL.Path, ""
		}
		next.ServeHTTP(w, r)
	})
}

// headerType says how the client of iDDS proves who it is.
const headerType = "X-IDDS-Auth-Type"

// asker is who makes a request, and for whom: whoever relays for others says for whom.
func asker(r *http.Request) workflow.Asker {
	p := access.PrincipalOf(r.Context())
	by := workflow.Asker{Name: p.Name, Role: p.Role, From: r.RemoteAddr}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		by.From = host
	}
	if user := r.Header.Get("X-IDDS-Auth-Username-Original"); user != "" {
		by.Name += " for " + message.Cut(user, 40)
	}
	return by
}
