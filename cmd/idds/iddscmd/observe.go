package iddscmd

import (
	"context"
	"log/slog"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/live"
	"tfpilot/idds/metrics"
	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
)

// observation is what others are told of how the service is.
type observation struct {
	metrics *metrics.Metrics
	feed    *live.Feed // nil until it is there
	// size is of the store as it was opened.
	size func(ctx context.Context) (int64, error)
}

// observe makes a store tell of what is written to it. The one that it returns is to be used in its place.
func (c serveConfig) observe(ctx context.Context, store ledger.Store, log *slog.Logger) (ledger.Store, *observation, error) {
	o := &observation{}
	if sized, ok := store.(interface {
		SizeBytes(ctx context.Context) (int64, error)
	}); ok {
		o.size = sized.SizeBytes
	}
	var err error
	o.metrics, err = metrics.New(ctx, store, metrics.Config{Namespace: c.Namespace, WorkerSilence: c.WorkerSilence, Log: log})
	return ledger.Watch(store, o.hear), o, err
}

func (o *observation) hear(c ledger.Commit) {
	o.metrics.Hear(c)
	if o.feed != nil {
		o.feed.Hear(c)
	}
}

// mount lets who may look see the metrics, and count what is asked of the REST interface.
func (o *observation) mount(rest *api.Config, service *idds.Service, link *broker.Link) {
	o.metrics.Ask(metrics.Live{Service: service, Link: link, StoreBytes: o.size})
	rest.Observe = o.metrics.Request
	rest.Mounts = append(rest.Mounts, api.Mount{
		Pattern: "GET /metrics", Roles: []ledger.Role{ledger.RoleViewer, ledger.RoleOperator}, Handler: o.metrics.Handler(),
	})
}
