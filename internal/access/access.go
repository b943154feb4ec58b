// Package access is who may do what in idds: the roles, who asks, tokens as a store keeps them, and the audit of what was changed.
package access

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// Role is what a token may do.
type Role string

// The roles: a pilot fetches its broker and reports; a harvester and a viewer read; an operator does everything but what is a
// pilot's, for the broker's password is for pilots alone.
const (
	Pilot     Role = "pilot"
	Harvester Role = "harvester"
	Operator  Role = "operator"
	Viewer    Role = "viewer"
)

// Roles are all roles.
func Roles() []Role { return []Role{Pilot, Harvester, Operator, Viewer} }

// Valid reports whether it is one of the roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// Principal is who asks.
type Principal struct {
	// Name is the token's, or the issuer's for its user, as the audit tells it.
	Name string
	Role Role
	// Namespace is the only one that he sees; all when it is empty.
	Namespace string
}

// Sees reports whether anything of a namespace is his to see.
func (p Principal) Sees(namespace string) bool { return p.Namespace == "" || p.Namespace == namespace }

type principalKey struct{}

// WithPrincipal says in a request's context who asks.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf is who asks; nobody in particular where no token is needed.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// ErrUnknownToken is what a token is that nobody has made.
var ErrUnknownToken = errors.New("the token is not known")

// ErrNoIssuer wraps why it cannot be said whether a token is good: its issuer does not answer.
var ErrNoIssuer = errors.New("the issuer of the token cannot be asked")

// ErrNoRole wraps why somebody who is known may do nothing.
var ErrNoRole = errors.New("no role")

// Token is a token as the store keeps it: not the secret, but its hash.
type Token struct {
	ID        string    `json:"id"`
	Hash      string    `json:"hash"` // SHA-256, hexadecimal
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Namespace string    `json:"namespace,omitempty"` // every one when empty
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // never when zero
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// Expired reports whether its time is over.
func (t Token) Expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// AuditLine is one change that somebody made: who, what, from where.
type AuditLine struct {
	At        time.Time `json:"at"`
	Who       string    `json:"who"`
	Role      Role      `json:"role"`
	From      string    `json:"from"` // the address that the request came from
	Did       string    `json:"did"`  // such as token.create
	To        string    `json:"to"`   // the token or whatever else was changed
	Namespace string    `json:"namespace,omitempty"`
	Details   string    `json:"details,omitempty"`
}

// Log says it in the log too.
func (a AuditLine) Log(ctx context.Context, log *slog.Logger) {
	log.InfoContext(ctx, "audit", slog.String("who", a.Who), slog.String("role", string(a.Role)), slog.String("from", a.From),
		slog.String("did", a.Did), slog.String("to", a.To), slog.String("details", a.Details))
}
