package panda

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"tfpilot/internal/access"
	"tfpilot/internal/message"
	"tfpilot/internal/workflow"
)

func ping(*http.Request) (any, *refusal) { return map[string]string{"Status": "OK"}, nil }

func (s *Server) metainfo(r *http.Request) (any, *refusal) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, &refusal{http.StatusMethodNotAllowed, "IDDSException", "The requested REST API is not defined: there is only GET of it"}
	}
	return s.metainfoOf(r.Context(), r.PathValue("name"))
}

// metainfoOf is what workers are told. Of what there is not, iDDS says nothing.
func (s *Server) metainfoOf(ctx context.Context, name string) (any, *refusal) {
	switch name {
	case "prompt_broker":
		p := access.PrincipalOf(ctx)
		if !slices.Contains(pilots, p.Role) {
			return nil, refuse(workflow.NoPermission, "the broker's password is for tokens of role pilot, and the token's role is %s", p.Role)
		}
		b, err := s.cfg.Broker(p)
		if err != nil {
			return nil, refuse(workflow.NoObject, "%s", err)
		}
		return map[string]any{
			"transformer_broker": b.TransformerBroker, "transformer_broadcast_broker": b.TransformerBroadcastBroker, "result_broker": b.ResultBroker,
			"ejfat": struct{}{}, // no load balancers
		}, nil
	case "asyncresult_config": // results that are not for workers; there are none
		return map[string]any{
			"broker_type": nil, "brokers": nil, "broker_destination": nil, "broker_timeout": 360, "broker_username": nil, "broker_password": nil, "broker_x509": nil,
		}, nil
	default:
		return struct{}{}, nil
	}
}

// noSignIn answers who would have a user sign in at an issuer: idds knows tokens of an issuer (--oidc-issuer), but is no client of his.
func noSignIn(r *http.Request) (any, *refusal) {
	if kind := r.PathValue("type"); kind != "" && kind != "oidc" {
		return nil, refuse(workflow.BadRequest, "auth_type %.40q is not supported", kind)
	}
	return nil, refuse(workflow.NoObject, "there is no sign-in for the VO %.40q here: ask an operator for a token (idds token create) or get one of the issuer, and set IDDS_OIDC_TOKEN",
		r.PathValue("vo"))
}

func noDevice(r *http.Request) (any, *refusal) {
	return nil, refuse(workflow.NoObject, "no sign-in of the VO %.40q is under way here", r.PathValue("vo"))
}

func noRefresh(r *http.Request) (any, *refusal) {
	var in struct {
		Token json.RawMessage `json:"refresh_token"`
	}
	if no := readBody(r, &in); no != nil {
		return nil, no
	}
	if len(in.Token) == 0 {
		return nil, refuse(workflow.BadRequest, "refresh_token is missing")
	}
	return nil, refuse(workflow.NoObject, "no token of the VO %.40q is refreshed here: its issuer does that", r.PathValue("vo"))
}

func noPath(r *http.Request) (any, *refusal) {
	return nil, &refusal{http.StatusNotFound, "IDDSException", "The requested REST API is not defined: " + message.Cut(r.Method+" "+r.URL.Path, 200)}
}
