// Package api is idds' REST interface: the production system's two calls, and /v1, described by OpenAPI 3.1 at /openapi.json.
package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tfpilot/idds"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/version"
)

// Role is what a token may do.
type Role string

// The roles. An operator may do everything.
const (
	RolePilot     Role = "pilot"
	RoleHarvester Role = "harvester"
	RoleOperator  Role = "operator"
	RoleViewer    Role = "viewer"
)

// Config is what the interface needs beside the service.
type Config struct {
	// Tokens are role by token. Only their hashes are kept.
	Tokens map[string]Role
	// Broker is the answer of /metainfo/prompt_broker.
	Broker message.PromptBroker
}

// Handler makes the whole interface.
func Handler(service *idds.Service, store ledger.Store, cfg Config) http.Handler {
	a := &api{service: service, store: store, broker: cfg.Broker, tokens: map[[32]byte]Role{}}
	for token, role := range cfg.Tokens {
		a.tokens[sha256.Sum256([]byte(token))] = role
	}
	mux := http.NewServeMux()
	conf := huma.DefaultConfig("tfpilot idds", version.String())
	conf.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	conf.CreateHooks = nil // no $schema key in the documents
	h := humago.New(mux, conf)
	h.UseMiddleware(a.authorise(h))
	a.register(h)
	// Not described by OpenAPI: the PanDA server's documents are its own.
	mux.HandleFunc("POST /server/panda/relay_idds_command", a.relayLegacy)
	mux.HandleFunc("POST /api/v1/idds/relay_idds_command", a.relayModern)
	return http.MaxBytesHandler(mux, 4<<20)
}

type api struct {
	service *idds.Service
	store   ledger.Store
	broker  message.PromptBroker
	tokens  map[[32]byte]Role
}

const rolesKey = "roles"

// authorise lets a request through whose token has one of the operation's roles.
func (a *api) authorise(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		roles, _ := ctx.Operation().Metadata[rolesKey].([]Role)
		if len(roles) == 0 {
			next(ctx)
			return
		}
		token, ok := strings.CutPrefix(ctx.Header("Authorization"), "Bearer ")
		role, known := a.tokens[sha256.Sum256([]byte(token))]
		var err error
		switch {
		case !ok || !known:
			err = huma.WriteErr(h, ctx, http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer TOKEN")
		case role != RoleOperator && !slices.Contains(roles, role):
			err = huma.WriteErr(h, ctx, http.StatusForbidden, "the token's role is "+string(role)+", not one of those that may do this")
		default:
			next(ctx)
		}
		_ = err // the client is gone
	}
}

var everybody = []Role{RolePilot, RoleHarvester, RoleViewer}

func operation(method, path, summary string, roles ...Role) huma.Operation {
	op := huma.Operation{
		Method: method, Path: path, Summary: summary, OperationID: operationID(method, path),
		Metadata: map[string]any{rolesKey: roles},
	}
	if len(roles) > 0 {
		op.Security = []map[string][]string{{"token": {}}}
		op.Errors = []int{http.StatusUnauthorized, http.StatusForbidden}
	}
	return op
}

// operationID is get-v1-runs-run-check for GET /v1/runs/{run}/check.
func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
}

type body[T any] struct{ Body T }

type runPath struct {
	Run       string `path:"run" maxLength:"200" doc:"run number"`
	Namespace string `query:"namespace" doc:"namespace, when the run number is not unique"`
}

// register adds an operation. One that the store does not let us answer says so: it is no fault of the request's, and may pass.
func register[I, O any](h huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if exitcode.From(err).Name == exitcode.StoreFailed.Name {
			return nil, huma.Error503ServiceUnavailable(logging.Redact(err.Error()))
		}
		return out, err
	})
}

func (a *api) register(h huma.API) {
	type ping struct {
		Status string `json:"Status"`
	}
	register(h, operation(http.MethodGet, "/ping", "Whether the service is there"),
		func(context.Context, *struct{}) (*body[ping], error) { return &body[ping]{ping{"OK"}}, nil })
	register(h, operation(http.MethodGet, "/metainfo/prompt_broker", "The broker configuration of a worker", RolePilot),
		func(context.Context, *struct{}) (*body[message.PromptBroker], error) {
			return &body[message.PromptBroker]{a.broker}, nil
		})
	register(h, operation(http.MethodGet, "/v1/runs", "All runs", everybody...), a.runs)
	register(h, operation(http.MethodGet, "/v1/runs/{run}", "One run", everybody...), a.run)
	register(h, operation(http.MethodGet, "/v1/runs/{run}/check", "Whether a run's accounting adds up", everybody...), a.check)
	register(h, operation(http.MethodGet, "/v1/runs/{run}/histograms", "A run's merged histograms", everybody...), a.histograms)
	register(h, operation(http.MethodGet, "/v1/runs/{run}/payloads", "What each version of a payload took in a run", everybody...), a.payloads)
	register(h, operation(http.MethodGet, "/v1/slices", "Slices in the order of run and identity, in pages", everybody...), a.slices)
	register(h, operation(http.MethodPost, "/v1/workers", "A pilot's report of itself", RolePilot), a.report)
	register(h, operation(http.MethodGet, "/v1/workers", "All pilots", everybody...), a.workers)
	register(h, operation(http.MethodGet, "/v1/workers/{worker}", "One pilot, by its id or the harvester's", everybody...), a.worker)
	register(h, operation(http.MethodGet, "/v1/actors", "Programs that were seen to do a duty of this service", everybody...), a.actors)
	register(h, operation(http.MethodGet, "/v1/demand", "How many workers are wanted", everybody...),
		func(ctx context.Context, _ *struct{}) (*body[message.DemandDocument], error) {
			d, err := a.service.Demand(ctx)
			return &body[message.DemandDocument]{d}, err
		})
}

func (a *api) runs(ctx context.Context, in *struct {
	Namespace string `query:"namespace"`
},
) (*body[message.Page[message.RunDocument]], error) {
	list, err := a.store.Runs(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	out := &body[message.Page[message.RunDocument]]{}
	out.Body.Items = []message.RunDocument{}
	for _, r := range list {
		doc, err := a.service.RunDocument(ctx, r)
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, doc)
	}
	return out, nil
}

func (a *api) find(ctx context.Context, in *runPath) (ledger.Run, error) {
	list, err := a.store.Runs(ctx, in.Namespace)
	if err != nil {
		return ledger.Run{}, err
	}
	i := slices.IndexFunc(list, func(r ledger.Run) bool { return r.RunID.String() == in.Run })
	if i < 0 {
		return ledger.Run{}, huma.Error404NotFound("run " + in.Run + " is not known")
	}
	return list[i], nil
}

func (a *api) run(ctx context.Context, in *runPath) (*body[message.RunDocument], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	doc, err := a.service.RunDocument(ctx, r)
	return &body[message.RunDocument]{doc}, err
}

func (a *api) check(ctx context.Context, in *runPath) (*body[message.RunCheck], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	doc, err := a.service.Check(ctx, r)
	return &body[message.RunCheck]{doc}, err
}

// Histograms is the answer of /v1/runs/{run}/histograms.
type Histograms struct {
	Histograms hist.Set `json:"histograms"`
}

func (a *api) histograms(ctx context.Context, in *runPath) (*body[Histograms], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	set, err := a.store.MergedHistograms(ctx, r.Namespace, r.RunID.String())
	if set == nil {
		set = hist.Set{}
	}
	return &body[Histograms]{Histograms{set}}, err
}

func (a *api) payloads(ctx context.Context, in *runPath) (*body[message.Page[message.PayloadDocument]], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	return &body[message.Page[message.PayloadDocument]]{message.Page[message.PayloadDocument]{Items: r.PayloadDocuments()}}, nil
}

func (a *api) slices(ctx context.Context, in *struct {
	Namespace string `query:"namespace"`
	Run       string `query:"run"`
	State     string `query:"state" enum:"outstanding,waiting,done,failed," doc:"only slices in this state"`
	After     string `query:"after" doc:"cursor: next of the page before"`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
},
) (*body[message.Page[message.SliceRecord]], error) {
	f := ledger.Filter{Namespace: in.Namespace, Run: in.Run, Limit: in.Limit}
	if in.After != "" {
		if err := json.Unmarshal(decodeCursor(in.After), &f.After); err != nil {
			return nil, huma.Error422UnprocessableEntity("after is no cursor: hand back next as it was")
		}
	}
	if in.State != "" {
		f.States = []ledger.SliceState{ledger.SliceState(in.State)}
	}
	list, err := a.store.Slices(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &body[message.Page[message.SliceRecord]]{}
	if out.Body.Items, err = a.service.Records(ctx, in.Namespace, list); err != nil {
		return nil, err
	}
	if len(list) == in.Limit {
		cursor, err := json.Marshal(list[len(list)-1].Key)
		if err != nil {
			return nil, err
		}
		out.Body.Next = base64.RawURLEncoding.EncodeToString(cursor)
	}
	return out, nil
}

// decodeCursor returns what is no JSON when it is no cursor.
func decodeCursor(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

func (a *api) report(ctx context.Context, in *body[message.WorkerReport]) (*body[message.WorkerReply], error) {
	if in.Body.PilotID == "" {
		return nil, huma.Error422UnprocessableEntity("pilot_id is missing")
	}
	reply, err := a.service.Report(ctx, in.Body)
	return &body[message.WorkerReply]{reply}, err
}

func (a *api) workers(ctx context.Context, in *struct {
	Namespace string `query:"namespace"`
	Limit     int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
},
) (*body[message.Page[message.WorkerDocument]], error) {
	list, err := a.service.Workers(ctx, in.Namespace)
	out := &body[message.Page[message.WorkerDocument]]{}
	out.Body.Items = append([]message.WorkerDocument{}, list[:min(len(list), in.Limit)]...)
	return out, err
}

func (a *api) worker(ctx context.Context, in *struct {
	Worker    string `path:"worker"`
	Namespace string `query:"namespace"`
},
) (*body[message.WorkerDocument], error) {
	list, err := a.service.Workers(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(w message.WorkerDocument) bool { return w.PilotID == in.Worker || w.WorkerID == in.Worker })
	if i < 0 {
		return nil, huma.Error404NotFound("worker " + in.Worker + " is not known")
	}
	return &body[message.WorkerDocument]{list[i]}, nil
}

func (a *api) actors(ctx context.Context, in *struct {
	Namespace string `query:"namespace"`
},
) (*body[message.Page[message.ActorDocument]], error) {
	list, err := a.store.Actors(ctx, in.Namespace)
	out := &body[message.Page[message.ActorDocument]]{}
	out.Body.Items = append([]message.ActorDocument{}, list...)
	return out, err
}

// Serve serves until ctx ends, then lets requests under way finish.
func Serve(ctx context.Context, srv *http.Server, serve func() error) error {
	stop := context.AfterFunc(ctx, func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = srv.Shutdown(short)
	})
	defer stop()
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
