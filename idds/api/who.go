package api

import (
	"cmp"
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tfpilot/internal/access"
	"tfpilot/internal/admission"
	"tfpilot/internal/metainfo"
)

// scope is the namespace that is asked about, within what the token may see.
func scope(ctx context.Context, asked string) (string, error) {
	p := access.PrincipalOf(ctx)
	if p.Namespace != "" && asked != "" && asked != p.Namespace {
		return "", huma.Error403Forbidden("the token is of another namespace")
	}
	return cmp.Or(p.Namespace, asked), nil
}

// authorise lets a request through whose token has one of the operation's roles.
func (a *api) authorise(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		roles, _ := ctx.Operation().Metadata[rolesKey].([]access.Role)
		r, _ := humago.Unwrap(ctx)
		in, no := a.door.Admit(ctx.Context(), r, roles)
		if no == nil {
			next(huma.WithContext(ctx, in))
			return
		}
		no.Hint(ctx.SetHeader)
		_ = huma.WriteErr(h, ctx, no.Status, no.Text) // or the client is gone
	}
}

// audit says in the log what somebody has changed. The store has it too, by the same transaction as the change.
func (a *api) audit(ctx context.Context, did, to, details string) {
	l := admission.Line(ctx)
	l.Did, l.To, l.Details = did, to, details
	l.Log(ctx, a.cfg.Log)
}

// BrokerFor is the broker configuration of a pilot, with the login of its namespace and of no other.
func (c Config) BrokerFor(p access.Principal) (metainfo.PromptBroker, error) {
	namespace := cmp.Or(p.Namespace, c.Namespace)
	b, ok := c.Broker[namespace]
	if !ok {
		return b, fmt.Errorf("this idds has no login at the broker for the namespace %.200q", namespace)
	}
	return b, nil
}
