// Package api is idds' REST interface, described by OpenAPI 3.1 at /openapi.json and, for
// people, at /docs.
package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tfpilot/idds"
	"tfpilot/internal/access"
	"tfpilot/internal/admission"
	"tfpilot/internal/apidoc"
	"tfpilot/internal/document"
	"tfpilot/internal/frontdoor"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/version"
)

// maxBody bounds what a request may bring.
const maxBody = 4 << 20

// Tokens makes and ends tokens.
type Tokens interface {
	admission.Gate
	Create(ctx context.Context, want access.Token, life time.Duration, by access.AuditLine) (t access.Token, secret string, err error)
	Revoke(ctx context.Context, namespace, id string, by access.AuditLine) (t access.Token, news bool, err error)
	List(namespace string) []access.Token
}

// Config is what the interface needs beside the service.
type Config struct {
	Tokens Tokens
	// Issuer knows tokens that are not ours; none when nil.
	Issuer admission.Gate
	// Broker is the answer of /metainfo/prompt_broker by namespace. A token of every namespace gets that of Namespace.
	Broker    map[string]metainfo.PromptBroker
	Namespace string
	// RatePerSecond is how many requests one caller may make for long, and twice as many at once; any number when 0.
	RatePerSecond int
	// PublicPage lets everybody who reaches the address look, as a viewer of Namespace.
	PublicPage bool
	// Feed is what watchers see. Each is asked for his token again after TokenCheck (default 10 s).
	Feed       Feed
	TokenCheck time.Duration
	// Record is what is known beside slices.
	Record Record
	// ROOT makes a ROOT file of histograms.
	ROOT func(hist.Set) ([]byte, error)
	// Mounts are what else is served.
	Mounts []Mount
	// Observe hears of every request; nobody when nil.
	Observe frontdoor.Hear
	// Log gets the audit; nobody when nil.
	Log *slog.Logger
}

// Handler makes the whole interface.
func Handler(service *idds.Service, store ledger.Store, cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = logging.Discard()
	}
	cfg.TokenCheck = cmp.Or(cfg.TokenCheck, tokenCheck)
	gates := []admission.Gate{cfg.Tokens}
	if cfg.Issuer != nil {
		gates = append(gates, cfg.Issuer)
	}
	door := admission.New(admission.Config{Gates: gates, RatePerSecond: cfg.RatePerSecond, Public: cfg.PublicPage, Namespace: cfg.Namespace, Log: cfg.Log})
	a := &api{service: service, store: store, cfg: cfg, door: door, streams: streams{of: map[streamKey]int{}}}
	mux := http.NewServeMux()
	conf := huma.DefaultConfig("tfpilot idds", version.String())
	conf.Info.Description = "Follows every slice to its final state, and says how many workers are wanted."
	conf.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	conf.CreateHooks = nil // no $schema key in the documents
	conf.Transformers = append(conf.Transformers, brief)
	conf.AllowAdditionalPropertiesByDefault = true                 // a pilot may be newer than we are
	conf.DocsPath, conf.SchemasPath, conf.OpenAPIPath = "", "", "" // of their own, below; the schemas stand in the one document
	aliases(conf.Components.Schemas)
	h := humago.New(mux, conf)
	h.UseMiddleware(a.authorise(h))
	a.register(h)
	mux.HandleFunc("GET /docs", made("text/html; charset=utf-8", apidoc.Page, h.OpenAPI()))
	mux.HandleFunc("GET /openapi.json", made("application/openapi+json", apidoc.JSON, h.OpenAPI()))
	mux.HandleFunc("POST /login", door.Login)
	mux.HandleFunc("POST /logout", door.Logout)
	var notFound http.Handler
	for _, m := range cfg.Mounts {
		if m.Pattern == NotFoundPattern {
			notFound = a.guarded(m)
			continue
		}
		mux.Handle(m.Pattern, a.guarded(m))
	}
	refuseOthers(mux, h.OpenAPI(), notFound)
	return frontdoor.Secured(a.survives(http.MaxBytesHandler(frontdoor.Observed(frontdoor.Conditional(mux), cfg.Observe), maxBody)))
}

type api struct {
	service *idds.Service
	store   ledger.Store
	cfg     Config
	door    *admission.Door
	streams streams
}

// aliases say of types that write their own JSON what that looks like.
func aliases(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[metainfo.BrokerList](), reflect.TypeFor[string]())
	r.RegisterTypeAlias(reflect.TypeFor[document.Quantiles](), reflect.TypeFor[quantiles]())
}

// quantiles are null for a sample of nothing.
type quantiles struct {
	N   int      `json:"n"`
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
	Max *float64 `json:"max"`
}

const rolesKey = "roles"

// readers may read everything but secrets.
var readers = []access.Role{access.Pilot, access.Harvester, access.Viewer, access.Operator}

func operation(method, path, summary string, roles ...access.Role) huma.Operation {
	op := huma.Operation{
		Method: method, Path: path, Summary: summary, OperationID: operationID(method, path),
		Metadata: map[string]any{rolesKey: roles}, MaxBodyBytes: maxBody,
		// Beside what an operation itself may say: a request that is cut off, a header or path that is none, too many requests.
		Errors: []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if len(roles) > 0 {
		op.Security = []map[string][]string{{"token": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
		names := make([]string, len(roles))
		for i, role := range roles {
			names[i] = string(role)
		}
		op.Description = "For tokens of role " + strings.Join(names, ", ") + "."
	}
	return op
}

// operationID is get-v1-runs-run-check for GET /v1/runs/{run}/check.
func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
}

// with adds answers that an operation may give.
func with(op huma.Operation, statuses ...int) huma.Operation {
	op.Errors = append(op.Errors, statuses...)
	return op
}

type body[T any] struct{ Body T }

// register adds an operation. What is no answer is the store's: no fault of the request, and it may pass.
func register[I, O any](h huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	if op.Method == http.MethodGet {
		if op.Responses == nil {
			op.Responses = map[string]*huma.Response{}
		}
		op.Responses["304"] = &huma.Response{Description: "What the ETag in If-None-Match names is still so."}
	}
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if _, ok := errors.AsType[huma.StatusError](err); err != nil && !ok {
			err = huma.Error503ServiceUnavailable(logging.Redact(err.Error()))
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
	register(h, with(operation(http.MethodGet, "/metainfo/prompt_broker", "The broker configuration of a worker", access.Pilot), http.StatusNotFound),
		func(ctx context.Context, _ *struct{}) (*body[metainfo.PromptBroker], error) {
			b, err := a.cfg.BrokerFor(access.PrincipalOf(ctx))
			if err != nil {
				return nil, huma.Error404NotFound(err.Error())
			}
			return &body[metainfo.PromptBroker]{b}, nil
		})
	a.registerBoard(h)
	a.registerHealth(h)
	a.registerRuns(h)
	a.registerSlices(h)
	a.registerWorkers(h)
	a.registerTokens(h)
	a.registerTasks(h)
	a.registerRecord(h)
	register(h, operation(http.MethodGet, "/v1/actors", "Programs that were seen to do a duty of this service", readers...), a.actors)
	register(h, operation(http.MethodGet, "/v1/demand", "How many workers are wanted", readers...), a.demand)
}

// Scope is the namespace that is asked about.
type Scope struct {
	Namespace string `query:"namespace" maxLength:"200" doc:"only of this namespace; a token of one namespace sees only that"`
}

// PageQuery is which page of a list is wanted.
type PageQuery struct {
	After string `query:"after" maxLength:"4000" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many at most"`
}

func (a *api) actors(ctx context.Context, in *Scope) (*body[document.Page[document.Actor]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	list, err := a.store.Actors(ctx, namespace)
	out := &body[document.Page[document.Actor]]{}
	out.Body.Items = append([]document.Actor{}, list...)
	return out, err
}

func (a *api) demand(ctx context.Context, in *struct {
	Site       string `query:"site" maxLength:"200" doc:"of a harvester: its name for the queue, of which the demand has a part from now on"`
	MaxWorkers int    `query:"max_workers" minimum:"0" maximum:"1000000" doc:"how many workers that lets the runs have, any number when 0"`
},
) (*body[document.Demand], error) {
	ask := a.service.Demand
	// A site of another namespace would have a part of workers that it never starts.
	if p := access.PrincipalOf(ctx); in.Site != "" && p.Sees(a.cfg.Namespace) && (p.Role == access.Harvester || p.Role == access.Operator) {
		ask = func(ctx context.Context) (document.Demand, error) {
			return a.service.DemandOf(ctx, in.Site, in.MaxWorkers)
		}
	}
	d, err := ask(ctx)
	seen := d.Demands[:0]
	for _, r := range d.Demands {
		if access.PrincipalOf(ctx).Sees(r.Namespace) {
			seen = append(seen, r)
		}
	}
	d.Demands = seen
	return &body[document.Demand]{d}, err
}

// cursor is how a page says where the next one begins.
func cursor(at any) (string, error) {
	b, err := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// readCursor understands what a page has said; nothing for the first page.
func readCursor(text string, into any) error {
	if text == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return huma.Error422UnprocessableEntity("after is no cursor: hand back next as it was")
	}
	return nil
}
