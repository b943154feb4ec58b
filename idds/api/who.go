package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/access"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// scope is the namespace that is asked about, within what the token may see.
func scope(ctx context.Context, asked string) (string, error) {
	p := access.PrincipalOf(ctx)
	if p.Namespace != "" && asked != "" && asked != p.Namespace {
		return "", huma.Error403Forbidden("the token is of another namespace")
	}
	return cmp.Or(p.Namespace, asked), nil
}

// refusal is why a request goes no further.
type refusal struct {
	status int
	text   string
}

// hint says by a header what is to be done about it.
func (no *refusal) hint(set func(name, value string)) {
	switch no.status {
	case http.StatusUnauthorized:
		set("WWW-Authenticate", `Bearer realm="idds"`)
	case http.StatusTooManyRequests:
		set("Retry-After", "1")
	}
}

// identify says who asks, by the headers of his request and his address, or why he is not let in.
func (a *api) identify(ctx context.Context, header func(string) string, addr string, roles []access.Role) (access.Principal, *refusal) {
	p, no := access.Principal{}, (*refusal)(nil)
	if len(roles) > 0 {
		p, no = a.holder(ctx, authorization(header))
	}
	return a.admit(p, no, addr, roles)
}

// authorization is the header of that name, or what the client of iDDS sends in its place.
func authorization(header func(string) string) string {
	if token := header("X-IDDS-Auth-Token"); header("Authorization") == "" && token != "" {
		return "Bearer " + token
	}
	return header("Authorization")
}

// admit lets somebody in who is known, does not ask too often and has one of the roles.
func (a *api) admit(p access.Principal, no *refusal, addr string, roles []access.Role) (access.Principal, *refusal) {
	// Who is not known is counted by his address alone: he could show another token each time.
	if !a.callers.Allow(host(addr) + " " + p.Name) {
		return p, &refusal{http.StatusTooManyRequests, "too many requests; wait a second"}
	}
	if no == nil && len(roles) > 0 && !slices.Contains(roles, p.Role) {
		no = &refusal{http.StatusForbidden, "the token's role is " + string(p.Role) + ", not one of those that may do this"}
	}
	return p, no
}

// holder is who holds the token of an Authorization header.
func (a *api) holder(ctx context.Context, authorization string) (access.Principal, *refusal) {
	kind, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(kind, "Bearer") || token == "" {
		return access.Principal{}, &refusal{http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer <token>"}
	}
	p, err := a.cfg.Tokens.Identify(ctx, token)
	if errors.Is(err, access.ErrUnknownToken) && a.cfg.Issuer != nil {
		p, err = a.cfg.Issuer.Identify(ctx, token)
	}
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, access.ErrNoIssuer):
		a.noIssuer.Do(func() { a.cfg.Log.WarnContext(ctx, "tokens of the issuer cannot be checked", logging.Err(err)) })
		return p, &refusal{http.StatusServiceUnavailable, "the token's issuer does not answer, so that it cannot be checked"}
	case errors.Is(err, access.ErrNoRole):
		return p, &refusal{http.StatusForbidden, err.Error()}
	default:
		return p, &refusal{http.StatusUnauthorized, "a valid token is needed: " + err.Error()}
	}
}

func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}

// authorise lets a request through whose token has one of the operation's roles.
func (a *api) authorise(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		roles, _ := ctx.Operation().Metadata[rolesKey].([]access.Role)
		p, no := a.visitor(ctx.Context(), ctx.Method(), ctx.Host(), ctx.Header, ctx.RemoteAddr(), roles)
		if no == nil {
			next(huma.WithContext(ctx, asked(ctx.Context(), p, ctx.RemoteAddr())))
			return
		}
		no.hint(ctx.SetHeader)
		_ = huma.WriteErr(h, ctx, no.status, no.text) // or the client is gone
	}
}

// NotFoundPattern is that of a [Mount] which answers browsers that ask for what is not there; all others get a problem.
const NotFoundPattern = "/"

// Mount is a handler of another kind under the same roof: who may not ask does not reach it, and it learns who asks from
// [access.PrincipalOf].
type Mount struct {
	Pattern string // of http.ServeMux, with its method
	Roles   []access.Role
	Handler http.Handler
	// Refused answers who may not ask; a problem (RFC 9457) when nil. The headers that belong to the status are set already.
	Refused func(w http.ResponseWriter, r *http.Request, status int, why string)
}

func (a *api) guarded(m Mount) http.Handler {
	refused := m.Refused
	if refused == nil {
		refused = func(w http.ResponseWriter, _ *http.Request, status int, why string) { problem(w, status, why) }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, no := a.visitor(r.Context(), r.Method, r.Host, r.Header.Get, r.RemoteAddr, m.Roles)
		if no != nil {
			no.hint(w.Header().Set)
			refused(w, r, no.status, no.text)
			return
		}
		m.Handler.ServeHTTP(w, r.WithContext(asked(r.Context(), p, r.RemoteAddr)))
	})
}

type addrKey struct{}

// asked is the context of a request of somebody.
func asked(ctx context.Context, p access.Principal, addr string) context.Context {
	return context.WithValue(access.WithPrincipal(ctx, p), addrKey{}, host(addr))
}

// line begins a line of the audit.
func line(ctx context.Context) access.AuditLine {
	p := access.PrincipalOf(ctx)
	from, _ := ctx.Value(addrKey{}).(string)
	return access.AuditLine{Who: p.Name, Role: p.Role, From: from}
}

// audit says in the log what somebody has changed. The store has it too, by the same transaction as the change.
func (a *api) audit(ctx context.Context, did, to, details string) {
	l := line(ctx)
	l.Did, l.To, l.Details = did, to, details
	l.Log(ctx, a.cfg.Log)
}

// BrokerFor is the broker configuration of a pilot, with the login of its namespace and of no other.
func (c Config) BrokerFor(p access.Principal) (message.PromptBroker, error) {
	namespace := cmp.Or(p.Namespace, c.Namespace)
	b, ok := c.Broker[namespace]
	if !ok {
		return b, fmt.Errorf("this idds has no login at the broker for the namespace %.200q", namespace)
	}
	return b, nil
}
