package traces

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"tfpilot/internal/commits"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/version"
)

// Config is where traces go. They go nowhere without an endpoint.
type Config struct {
	Endpoint    string  `toml:"endpoint" help:"http:// or https:// address of an OpenTelemetry collector (OTLP/HTTP) that gets a trace of each slice; none without it"`
	HeadersFile string  `toml:"headers_file" help:"file with headers for the collector, such as a token: NAME: VALUE on each line; it must not be readable by others"`
	CAFile      string  `toml:"ca_file" help:"authorities of the collector's certificate (PEM) in place of the system's"`
	SampleRatio float64 `toml:"sample_ratio" default:"1" zero:"true" help:"share of the slices of which there is a trace; those that failed are always in it"`

	// Headers are what stands in the file.
	Headers map[string]string `toml:"-"`
	// Namespace is that of the service.
	Namespace string `toml:"-"`
}

const (
	// queued is how many slices may wait for the collector.
	queued = 4096
	// batch is how many spans are sent at once.
	batch = 512
	// sendLimit bounds one try to send a batch, with all its repetitions.
	sendLimit = 10 * time.Second
	// leaveLimit bounds the last batches, when the service ends.
	leaveLimit = 3 * time.Second
)

// Exporter sends traces. Make it with New, tell it what is committed, and run it once.
type Exporter struct {
	cfg   Config
	log   *slog.Logger
	queue chan *ledger.Slice

	processor sdk.SpanProcessor
	tracers   map[string]trace.Tracer // by program
	sent      *counting

	dropped atomic.Int64 // slices
}

// New makes an exporter. It connects to nothing yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Exporter, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, exitcode.New(exitcode.Usage, "--otlp-endpoint %q is no address such as http://collector.example.org:4318", logging.Redact(cfg.Endpoint))
	}
	if !(cfg.SampleRatio >= 0 && cfg.SampleRatio <= 1) { // nor NaN
		return nil, exitcode.New(exitcode.Usage, "--otlp-sample-ratio %v is not between 0 and 1", cfg.SampleRatio)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces" // where the protocol has it
	}
	secure, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithHeaders(cfg.Headers), otlptracehttp.WithCompression(otlptracehttp.GzipCompression), otlptracehttp.WithTimeout(sendLimit),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: sendLimit}),
	}
	if u.Scheme == "https" {
		options = append(options, otlptracehttp.WithTLSClientConfig(secure))
	}
	out, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "--otlp-endpoint: %w", err)
	}
	sent := &counting{SpanExporter: out, log: log}
	sent.life, sent.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	e := &Exporter{cfg: cfg, log: log, queue: make(chan *ledger.Slice, queued), sent: sent, tracers: map[string]trace.Tracer{}}
	// It blocks: what has to wait waits in our queue, where it is counted when there is no room.
	e.processor = sdk.NewBatchSpanProcessor(e.sent, sdk.WithBlocking(), sdk.WithMaxExportBatchSize(batch), sdk.WithMaxQueueSize(2*batch), sdk.WithBatchTimeout(time.Second))
	for _, service := range []string{daq, pilot, idds} {
		provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(e.processor), sdk.WithIDGenerator(identities{}), sdk.WithSampler(sdk.AlwaysSample()),
			sdk.WithResource(resource.NewWithAttributes(semconv.SchemaURL,
				semconv.ServiceName(service), semconv.ServiceNamespace(cfg.Namespace), semconv.ServiceVersion(version.String()))))
		e.tracers[service] = provider.Tracer("tfpilot/idds/traces")
	}
	return e, nil
}

func (c Config) tls() (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return secure, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "--otlp-ca-file: %w", err)
	}
	secure.RootCAs = x509.NewCertPool()
	if !secure.RootCAs.AppendCertsFromPEM(pem) {
		return nil, exitcode.New(exitcode.BadConfig, "--otlp-ca-file %s holds no certificate (PEM)", c.CAFile)
	}
	return secure, nil
}

// ReadHeaders understands the text of a file of headers.
func ReadHeaders(text string) (map[string]string, error) {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found || strings.TrimSpace(name) == "" { // the line may be a token: it is not shown
			return nil, errors.New("a line is not NAME: VALUE")
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out, nil
}

// Hear takes slices that have come to their end, and never waits.
func (e *Exporter) Hear(c commits.Commit) {
	for i := range c.Slices {
		s := c.Slices[i]
		if !s.State.Final() || s.Was == s.State || s.Key.Namespace != e.cfg.Namespace {
			continue
		}
		select {
		case e.queue <- s.Slice:
		default:
			e.dropped.Add(1)
		}
	}
}

// Run sends until ctx ends, and then what there is, for a moment.
func (e *Exporter) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveLimit, e.sent.giveUp) })()
	for ctx.Err() == nil {
		select {
		case s := <-e.queue:
			e.trace(ctx, s)
		case <-ctx.Done():
		}
	}
	late := context.WithoutCancel(ctx) // what waits is sent all the same, until it is given up
	for len(e.queue) > 0 {
		e.trace(late, <-e.queue)
	}
	if err := e.processor.Shutdown(late); err != nil {
		e.log.WarnContext(late, "the last traces did not reach their collector", logging.Err(err))
	}
	return nil
}

// Counts are spans that the collector has and that it did not get, and slices that were dropped before.
func (e *Exporter) Counts() (sent, failed, dropped int64) {
	return e.sent.sent.Load(), e.sent.failed.Load(), e.dropped.Load()
}

// counting is an exporter that knows what became of its spans.
type counting struct {
	sdk.SpanExporter

	log          *slog.Logger
	life         context.Context //nolint:containedctx // the SDK gives one of its own to each batch, without an end
	giveUp       context.CancelFunc
	sent, failed atomic.Int64
	away         atomic.Bool
}

// ExportSpans sends a batch. The SDK would tell the world of an error; our log has it, once.
func (c *counting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)() //nolint:contextcheck // both end it
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.failed.Add(int64(len(spans)))
		if !c.away.Swap(true) {
			c.log.WarnContext(ctx, "traces do not reach their collector; they are dropped until they do", logging.Err(err))
		}
		return nil
	}
	c.sent.Add(int64(len(spans)))
	if c.away.Swap(false) {
		c.log.InfoContext(ctx, "traces reach their collector again")
	}
	return nil
}
