package traces

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// The programs in whose name there are spans.
const (
	daq   = "daq"
	pilot = "pilot"
	idds  = "idds"
)

// trace makes the spans of a slice.
func (e *Exporter) trace(ctx context.Context, s *ledger.Slice) {
	own := message.SliceTrace(s.Key.Namespace, s.Key.Run, s.Key.Identity)
	given := own
	var m struct {
		Content message.SliceContent `json:"content"`
	}
	if json.Unmarshal(s.Message, &m) == nil && !m.Content.Trace().IsZero() { // there is none where only results came
		given = m.Content.Trace()
	}
	if !given.Sampled || s.State == ledger.Done && !within(given, e.cfg.SampleRatio) {
		return
	}
	if given.ID == own.ID && given.Span == own.Span { // our daq's, which sends no spans itself
		ctx = context.WithValue(ctx, identityKey{}, own)
	} else {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: given.ID, SpanID: given.Span, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	ctx, whole := e.tracers[daq].Start(ctx, "slice", trace.WithTimestamp(first(s.STFAt, s.CreatedAt, s.FinishedAt)), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(sends(message.TopicSlices)...), trace.WithAttributes(
			attribute.String("tfpilot.namespace", s.Key.Namespace), attribute.String("tfpilot.run_id", s.Key.Run), attribute.String("tfpilot.slice_id", s.Key.Identity),
			attribute.String("tfpilot.filename", s.Filename), attribute.Int64("tfpilot.frames.first", s.Start), attribute.Int64("tfpilot.frames.last", s.End),
			attribute.String("tfpilot.state", string(s.State)), attribute.Int("tfpilot.attempts", len(s.Attempts))))
	fail(whole, s.Failure)
	e.part(ctx, daq, "data taken to slice", s.STFAt, s.CreatedAt)
	for i := range s.Attempts {
		e.attempt(ctx, &s.Attempts[i])
	}
	whole.End(trace.WithTimestamp(s.FinishedAt))
}

// attempt makes those of one attempt. Clocks of several machines tell it.
func (e *Exporter) attempt(ctx context.Context, a *document.Attempt) {
	from, to := first(a.CreatedAt, a.ReceivedAt, a.StartedAt), first(a.FinishedAt, a.PublishedAt, a.ProcessedAt)
	if from.IsZero() || to.IsZero() { // it is still under way: another one was quicker
		return
	}
	ctx, span := e.tracers[idds].Start(ctx, "attempt", trace.WithTimestamp(from), trace.WithAttributes(
		attribute.Int("tfpilot.attempt", a.Attempt), attribute.String("tfpilot.state", a.State)))
	if a.Reason != "" {
		span.SetAttributes(attribute.String("tfpilot.reason", a.Reason))
	}
	fail(span, a.Failure)
	processed := a.ProcessedAt
	if processed.IsZero() && !a.StartedAt.IsZero() && a.ProcessingTime > 0 && a.ProcessingTime < math.MaxInt32 {
		processed = a.StartedAt.Add(time.Duration(a.ProcessingTime * float64(time.Second)))
	}
	var place []attribute.KeyValue // of whom a peer says nothing there is none
	if a.PilotID != "" {
		place = append(place, attribute.String("tfpilot.pilot_id", a.PilotID))
	}
	if a.Hostname != "" {
		place = append(place, semconv.HostName(a.Hostname))
	}
	at := trace.WithAttributes(append(place, attribute.Int("tfpilot.attempt", a.Attempt))...)
	e.part(ctx, idds, "queued", a.CreatedAt, first(a.ReceivedAt, a.StartedAt))
	e.part(ctx, pilot, "waiting in the pilot", a.ReceivedAt, a.StartedAt, at)
	e.part(ctx, pilot, "payload", a.StartedAt, processed, at, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(processes(message.QueueSlicesWorkers)...))
	e.part(ctx, pilot, "publishing", processed, a.PublishedAt, at, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(sends(message.TopicResults)...))
	e.part(ctx, idds, "counting", a.PublishedAt, a.FinishedAt, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(processes(message.QueueResultsIDDS)...))
	span.End(trace.WithTimestamp(latest(to, from)))
}

// part is a span between two points in time that are both known.
func (e *Exporter) part(ctx context.Context, service, name string, from, to time.Time, more ...trace.SpanStartOption) {
	if from.IsZero() || to.IsZero() {
		return
	}
	_, span := e.tracers[service].Start(ctx, name, append(more, trace.WithTimestamp(from))...)
	span.End(trace.WithTimestamp(latest(to, from)))
}

// sends and processes are what the conventions of OpenTelemetry for messaging say of a span that sends to a destination, or works on what
// came from one. The embedded broker is one in the manner of ActiveMQ.
func sends(destination string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.MessagingSystemActiveMQ, semconv.MessagingDestinationName(destination), semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send")}
}

func processes(destination string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.MessagingSystemActiveMQ, semconv.MessagingDestinationName(destination), semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process")}
}

func fail(span trace.Span, f *message.Failure) {
	if f != nil {
		span.SetStatus(codes.Error, f.Name)
		span.SetAttributes(semconv.ErrorTypeKey.String(f.Name), attribute.String("tfpilot.failure.class", f.Class), attribute.String("tfpilot.failure.message", f.Message))
	}
}

func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// latest keeps a span from ending before it has begun.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// within decides by the trace, so that all who see it decide the same.
func within(t message.Trace, ratio float64) bool {
	return float64(binary.BigEndian.Uint64(t.ID[8:])>>1) < ratio*(1<<63)
}

// identityKey is of the identity that a span is to have.
type identityKey struct{}

// identities are those that were asked for, else random ones.
type identities struct{}

// NewIDs begins a trace.
func (i identities) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if t, ok := ctx.Value(identityKey{}).(message.Trace); ok {
		return t.ID, t.Span
	}
	var id trace.TraceID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64()|1)
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID is of a further span.
func (identities) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.NativeEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}
