package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/access"
	"tfpilot/internal/admission"
	"tfpilot/internal/document"
)

func (a *api) registerTokens(h huma.API) {
	create := operation(http.MethodPost, "/v1/tokens", "Make a token; its secret is said this once", access.Operator)
	create.DefaultStatus = http.StatusCreated
	register(h, create, a.createToken)
	register(h, operation(http.MethodGet, "/v1/tokens", "Tokens that were made, without their secrets", access.Operator), a.listTokens)
	register(h, with(operation(http.MethodDelete, "/v1/tokens/{id}", "Revoke a token", access.Operator), http.StatusNotFound), a.revokeToken)
	register(h, operation(http.MethodGet, "/v1/audit", "Changes that somebody made, the latest first, in pages", access.Operator), a.auditPage)
}

func (a *api) createToken(ctx context.Context, in *body[document.TokenRequest]) (*body[document.NewToken], error) {
	want := in.Body
	namespace, err := scope(ctx, want.Namespace)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(want.Name) == "" {
		return nil, huma.Error422UnprocessableEntity("name is blank")
	}
	t := access.Token{Name: want.Name, Role: access.Role(want.Role), Namespace: namespace}
	var life time.Duration
	if want.Seconds != nil && *want.Seconds > 0 {
		life = max(time.Second, time.Duration(*want.Seconds*float64(time.Second))) // never so short that it would be for ever
	}
	t, secret, err := a.cfg.Tokens.Create(ctx, t, life, admission.Line(ctx))
	if err != nil {
		return nil, err
	}
	a.audit(ctx, "token.create", t.ID, "role "+string(t.Role))
	return &body[document.NewToken]{document.NewToken{Token: tokenDocument(t), Secret: secret}}, nil
}

func (a *api) listTokens(ctx context.Context, in *Scope) (*body[document.Page[document.Token]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	out := &body[document.Page[document.Token]]{}
	out.Body.Items = []document.Token{}
	for _, t := range a.cfg.Tokens.List(namespace) {
		out.Body.Items = append(out.Body.Items, tokenDocument(t))
	}
	return out, nil
}

func (a *api) revokeToken(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"100"`
},
) (*body[document.Token], error) {
	t, news, err := a.cfg.Tokens.Revoke(ctx, access.PrincipalOf(ctx).Namespace, in.ID, admission.Line(ctx))
	if errors.Is(err, access.ErrUnknownToken) {
		return nil, huma.Error404NotFound("there is no token " + in.ID)
	}
	if err != nil {
		return nil, err
	}
	if news {
		a.audit(ctx, "token.revoke", t.ID, "role "+string(t.Role))
	}
	return &body[document.Token]{tokenDocument(t)}, nil
}

func tokenDocument(t access.Token) document.Token {
	state := "valid"
	switch {
	case !t.RevokedAt.IsZero():
		state = "revoked"
	case t.Expired(time.Now()):
		state = "expired"
	}
	return document.Token{
		ID: t.ID, Name: t.Name, Role: string(t.Role), Namespace: t.Namespace, State: state, CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
		ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt, RevokedBy: t.RevokedBy,
	}
}

func (a *api) auditPage(ctx context.Context, in *struct {
	Scope
	PageQuery
},
) (*body[document.Page[document.AuditLine]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	var before int64
	if err := readCursor(in.After, &before); err != nil {
		return nil, err
	}
	list, next, err := a.store.AuditPage(ctx, namespace, max(0, before), in.Limit)
	if err != nil {
		return nil, err
	}
	out := &body[document.Page[document.AuditLine]]{}
	out.Body.Items = []document.AuditLine{}
	for _, l := range list {
		out.Body.Items = append(out.Body.Items, document.AuditLine{
			At: l.At, Who: l.Who, Role: string(l.Role), From: l.From, Did: l.Did, To: l.To, Namespace: l.Namespace, Details: l.Details,
		})
	}
	if next != 0 {
		out.Body.Next, err = cursor(next)
	}
	return out, err
}
