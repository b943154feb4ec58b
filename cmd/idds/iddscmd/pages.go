package iddscmd

import (
	"log/slog"
	"net/http"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/dashboard"
	"tfpilot/idds/live"
	"tfpilot/internal/access"
	"tfpilot/internal/ledger"
)

// mounts are what is served beside the REST interface: the page, for everybody who may look.
func mounts(service *idds.Service, store ledger.Store, feed *live.Feed, namespace string, rec api.Record, log *slog.Logger) ([]api.Mount, error) {
	pages, err := dashboard.New(dashboard.Config{
		Service: service, Store: store, Namespace: namespace, Board: feed.Board, Components: rec.Components, Recent: rec.Recent, Log: log,
	})
	if err != nil {
		return nil, err
	}
	out := []api.Mount{
		{Pattern: dashboard.StaticPattern, Handler: dashboard.Static()},
		{Pattern: dashboard.LoginPattern, Handler: http.HandlerFunc(pages.Login)},
		{Pattern: api.NotFoundPattern, Handler: pages.NotFound()},
	}
	for pattern, handler := range pages.Handlers() {
		out = append(out, api.Mount{Pattern: pattern, Roles: []access.Role{access.Viewer, access.Operator}, Handler: handler, Refused: pages.Refuse})
	}
	return out, nil
}
