package admission

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"tfpilot/internal/access"
	"tfpilot/internal/frontdoor"
	"tfpilot/internal/logging"
)

// Gate says who holds a token. [access.ErrUnknownToken] lets the next one try.
type Gate interface {
	Identify(ctx context.Context, token string) (access.Principal, error)
}

// Config is who is let in.
type Config struct {
	// Gates are asked about a token in their order.
	Gates []Gate
	// RatePerSecond is how many requests one caller may make for long, and twice as many at once; any number when 0.
	RatePerSecond int
	// Public lets everybody look who comes without a token, as a viewer of Namespace.
	Public    bool
	Namespace string
	Log       *slog.Logger
}

// Door is where requests come in.
type Door struct {
	cfg     Config
	callers *frontdoor.Callers
	// noIssuer is how often the log hears that an issuer does not answer: anybody can send tokens that it is asked about.
	noIssuer rate.Sometimes
}

// New makes a door.
func New(cfg Config) *Door {
	return &Door{cfg: cfg, callers: frontdoor.NewCallers(cfg.RatePerSecond), noIssuer: rate.Sometimes{First: 1, Interval: time.Minute}}
}

// Refusal is why a request goes no further.
type Refusal struct {
	Status int
	Text   string
}

// Hint says by a header what is to be done about it.
func (no *Refusal) Hint(set func(name, value string)) {
	switch no.Status {
	case http.StatusUnauthorized:
		set("WWW-Authenticate", `Bearer realm="idds"`)
	case http.StatusTooManyRequests:
		set("Retry-After", "1")
	}
}

// Admit lets a request in that asks for something of some roles; of anybody when there are none. [access.PrincipalOf] the context that
// it returns is who asks.
func (d *Door) Admit(ctx context.Context, r *http.Request, roles []access.Role) (context.Context, *Refusal) {
	p, no := d.who(ctx, r, roles)
	if no = d.admit(p, no, r.RemoteAddr, roles); no != nil {
		return ctx, no
	}
	return context.WithValue(access.WithPrincipal(ctx, p), addrKey{}, host(r.RemoteAddr)), nil
}

type addrKey struct{}

// Line begins a line of the audit of what somebody does who was let in.
func Line(ctx context.Context) access.AuditLine {
	p := access.PrincipalOf(ctx)
	from, _ := ctx.Value(addrKey{}).(string)
	return access.AuditLine{Who: p.Name, Role: p.Role, From: from}
}

// who asks, as far as his request says it.
func (d *Door) who(ctx context.Context, r *http.Request, roles []access.Role) (access.Principal, *Refusal) {
	looks := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch authorization := authorization(r.Header); {
	case authorization == "" && looks && slices.Contains(roles, access.Viewer):
		return d.visitor(ctx, r)
	case len(roles) > 0:
		return d.holder(ctx, authorization)
	default:
		return access.Principal{}, nil
	}
}

// authorization is the header of that name, or what the client of iDDS sends in its place.
func authorization(h http.Header) string {
	if token := h.Get("X-IDDS-Auth-Token"); h.Get("Authorization") == "" && token != "" {
		return "Bearer " + token
	}
	return h.Get("Authorization")
}

// admit lets somebody in who is known, does not ask too often and has one of the roles.
func (d *Door) admit(p access.Principal, no *Refusal, addr string, roles []access.Role) *Refusal {
	// Who is not known is counted by his address alone: he could show another token each time.
	if !d.callers.Allow(host(addr) + " " + p.Name) {
		return &Refusal{http.StatusTooManyRequests, "too many requests; wait a second"}
	}
	if no == nil && len(roles) > 0 && !slices.Contains(roles, p.Role) {
		no = &Refusal{http.StatusForbidden, "the token's role is " + string(p.Role) + ", not one of those that may do this"}
	}
	return no
}

// holder is who holds the token of an Authorization header.
func (d *Door) holder(ctx context.Context, authorization string) (access.Principal, *Refusal) {
	kind, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(kind, "Bearer") || token == "" {
		return access.Principal{}, &Refusal{http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer <token>"}
	}
	p, err := access.Principal{}, access.ErrUnknownToken
	for _, gate := range d.cfg.Gates {
		if p, err = gate.Identify(ctx, token); !errors.Is(err, access.ErrUnknownToken) {
			break
		}
	}
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, access.ErrNoIssuer):
		d.noIssuer.Do(func() { d.cfg.Log.WarnContext(ctx, "tokens of the issuer cannot be checked", logging.Err(err)) })
		return p, &Refusal{http.StatusServiceUnavailable, "the token's issuer does not answer, so that it cannot be checked"}
	case errors.Is(err, access.ErrNoRole):
		return p, &Refusal{http.StatusForbidden, err.Error()}
	default:
		return p, &Refusal{http.StatusUnauthorized, "a valid token is needed: " + err.Error()}
	}
}

func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}
