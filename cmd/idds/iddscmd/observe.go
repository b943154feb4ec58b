package iddscmd

import (
	"context"
	"log/slog"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/live"
	"tfpilot/idds/metrics"
	"tfpilot/idds/traces"
	"tfpilot/internal/access"
	"tfpilot/internal/broker"
	"tfpilot/internal/commits"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/program"
)

// observation is what others are told of how the service is.
type observation struct {
	metrics *metrics.Metrics
	feed    *live.Feed       // nil until it is there
	traces  *traces.Exporter // nil where none are wanted
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
	if o.traces, err = c.tracing(ctx, log); err != nil {
		return nil, nil, err
	}
	o.metrics, err = metrics.New(ctx, store, metrics.Config{Namespace: c.Namespace, WorkerSilence: c.WorkerSilence, Log: log})
	return commits.Watch(store, o.hear), o, err
}

// tracing is what sends traces of slices, nil when nobody wants them.
func (c serveConfig) tracing(ctx context.Context, log *slog.Logger) (*traces.Exporter, error) {
	cfg := c.OTLP
	if cfg.Endpoint == "" {
		if cfg.HeadersFile != "" || cfg.CAFile != "" {
			return nil, exitcode.New(exitcode.Usage, "--otlp-headers-file and --otlp-ca-file say nothing without --otlp-endpoint")
		}
		return nil, nil //nolint:nilnil // none is no error
	}
	cfg.Namespace = c.Namespace
	if cfg.HeadersFile != "" {
		text, err := program.ReadPrivate(cfg.HeadersFile)
		if err == nil {
			cfg.Headers, err = traces.ReadHeaders(string(text))
		}
		if err != nil {
			return nil, exitcode.New(exitcode.BadConfig, "--otlp-headers-file %s: %w", cfg.HeadersFile, err)
		}
	}
	return traces.New(ctx, cfg, log)
}

// run does what is done in the background.
func (o *observation) run(ctx context.Context) error {
	if o.traces == nil {
		return nil
	}
	return o.traces.Run(ctx)
}

func (o *observation) hear(c commits.Commit) {
	o.metrics.Hear(c)
	if o.feed != nil {
		o.feed.Hear(c)
	}
	if o.traces != nil {
		o.traces.Hear(c)
	}
}

// mount lets who may look see the metrics, and count what is asked of the REST interface.
func (o *observation) mount(rest *api.Config, service *idds.Service, link *broker.Link) {
	ask := metrics.Live{Service: service, Link: link, StoreBytes: o.size, Watchers: o.feed.Watchers}
	if o.traces != nil {
		ask.Traces = o.traces.Counts
	}
	o.metrics.Ask(ask)
	rest.Observe = o.metrics.Request
	rest.Mounts = append(rest.Mounts, api.Mount{
		Pattern: "GET /metrics", Roles: []access.Role{access.Viewer, access.Operator}, Handler: o.metrics.Handler(),
	})
}
