package rest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
)

const (
	// shipEvery is how often lines are sent, and awayMost the longest pause while idds takes none.
	shipEvery, awayMost = 2 * time.Second, time.Minute
	// ordinaryLines is how many lines may wait of those that are no warnings, and maxLines how many of all.
	ordinaryLines, maxLines = 300, 600
	// shipLimit bounds one delivery, lastLimit the one at the end.
	shipLimit, lastLimit = 5 * time.Second, 500 * time.Millisecond
	// What idds takes of a line.
	maxLine, maxAttr, maxRun, maxSlice = 4000, 500, 200, 400
)

// Shipper is a handler of a log that sends its lines to idds in the background, so that they are seen beside those of others. It
// never waits: lines for which there is no room are dropped, ordinary ones first, and that is said with the next that arrive. Of its
// own troubles it says nothing.
type Shipper struct {
	*shipment

	attrs  map[string]string
	prefix string // of groups
}

// shipment is what all handlers of a log share.
type shipment struct {
	client *Client
	of     document.LogRecord // what is the same in every line

	mu      sync.Mutex
	waiting []document.LogRecord
	dropped int
}

var _ slog.Handler = (*Shipper)(nil)

// NewShipper sends the lines of a program: component, role and namespace of who are in each of them.
func NewShipper(client *Client, who document.LogRecord) *Shipper {
	return &Shipper{shipment: &shipment{client: client, of: who}}
}

// Enabled says that it is for what people are to know.
func (s *Shipper) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs adds to every line.
func (s *Shipper) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *s
	more.attrs = maps.Clone(s.attrs)
	if more.attrs == nil {
		more.attrs = map[string]string{}
	}
	for _, a := range attrs {
		add(more.attrs, s.prefix, a)
	}
	return &more
}

// WithGroup puts a name before those of what is added from now on.
func (s *Shipper) WithGroup(name string) slog.Handler {
	more := *s
	more.prefix += name + "."
	return &more
}

// Handle puts a line to those that wait.
func (s *Shipper) Handle(_ context.Context, r slog.Record) error {
	if !s.room(r.Level) {
		return nil
	}
	line := s.of
	line.At, line.Level, line.Message = r.Time, r.Level.String(), bounded(r.Message, maxLine)
	attrs := maps.Clone(s.attrs)
	if attrs == nil {
		attrs = map[string]string{}
	}
	r.Attrs(func(a slog.Attr) bool {
		add(attrs, s.prefix, a)
		return true
	})
	take := func(key string, into *string, most int) {
		if v, ok := attrs[key]; ok {
			*into = bounded(v, most)
			delete(attrs, key)
		}
	}
	take(logging.KeyRun, &line.RunID, maxRun)
	take(logging.KeySlice, &line.Slice, maxSlice)
	delete(attrs, logging.KeyComponent) // its name says both
	delete(attrs, logging.KeyPilot)
	if len(attrs) > 0 {
		line.Attrs = attrs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, line)
	if n := len(s.waiting) - maxLines; n > 0 {
		s.waiting = slices.Delete(s.waiting, 0, n)
		s.dropped += n
	}
	return nil
}

// room reports whether a line may wait with the others. One that may not costs no more than this.
func (s *shipment) room(level slog.Level) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if level < slog.LevelWarn && len(s.waiting) >= ordinaryLines {
		s.dropped++
		return false
	}
	return true
}

// add adds an attribute as text, those of a group one by one.
func add(attrs map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			add(attrs, prefix, member)
		}
		return
	}
	if a.Key != "" {
		attrs[prefix+a.Key] = bounded(v.String(), maxAttr)
	}
}

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const mark = "..."
	s = s[:most-len(mark)]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) { // a letter is cut in two, or was broken before
		s = s[:len(s)-1]
	}
	return s + mark
}

// Run sends until ctx ends, and then what is left. While idds takes nothing it is asked ever less often, and not once more at the end.
func (s *Shipper) Run(ctx context.Context) {
	wait := shipEvery
	for pause.For(ctx, wait) == nil {
		if s.ship(ctx, shipLimit) {
			wait = shipEvery
		} else {
			wait = min(2*wait, awayMost)
		}
	}
	if wait == shipEvery {
		s.ship(context.WithoutCancel(ctx), lastLimit)
	}
}

// ship sends what waits, and reports whether idds has it.
func (s *Shipper) ship(ctx context.Context, limit time.Duration) bool {
	s.mu.Lock()
	lines, dropped := s.waiting, s.dropped
	s.waiting, s.dropped = nil, 0
	s.mu.Unlock()
	if len(lines) == 0 && dropped == 0 {
		return true
	}
	if dropped > 0 {
		gap := s.of
		gap.At, gap.Level, gap.Message = time.Now(), slog.LevelWarn.String(), "lines of the log did not come to idds: there were too many, or it was away"
		gap.Attrs = map[string]string{"lines": strconv.Itoa(dropped)}
		lines = append(lines, gap)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var receipt document.LogReceipt
	err := s.client.Post(ctx, "/v1/logs", document.LogBatch{Records: lines}, &receipt)
	if err == nil {
		return true
	}
	if refused, ok := errors.AsType[*StatusError](err); ok && (refused.Code == http.StatusUnprocessableEntity || refused.Code == http.StatusRequestEntityTooLarge) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropped += dropped + len(lines) // these it will never take
		return false
	}
	if dropped > 0 { // it is said again with what comes next
		lines = lines[:len(lines)-1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.dropped = append(lines, s.waiting...), s.dropped+dropped
	if n := len(s.waiting) - maxLines; n > 0 {
		s.waiting = slices.Delete(s.waiting, 0, n)
		s.dropped += n
	}
	return false
}
