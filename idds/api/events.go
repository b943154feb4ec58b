package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tfpilot/internal/access"
	"tfpilot/internal/admission"
	"tfpilot/internal/document"
)

// Feed is what watchers see.
type Feed interface {
	// Board is what is to be seen at a glance of a namespace, the service's own when it is empty.
	Board(ctx context.Context, namespace string) (document.Board, error)
	// Follow hands over what happens in it until ctx ends, send returns an error, or the service ends, which is the last event. It
	// does not hand over the board whose id is seen.
	Follow(ctx context.Context, namespace, seen string, send func(document.Event) error) error
	// Bye is the event of any other end.
	Bye(reason string, back bool) document.Event
}

const (
	// mostStreams is how many streams of events one caller, that is token and address, may have at once: a control room behind one
	// address has as many screens.
	mostStreams = 300
	// sendLimit is how long a watcher may take to read an event.
	sendLimit = 10 * time.Second
	// tokenCheck is how often it is asked whether the token of a stream is still good.
	tokenCheck = 10 * time.Second
)

func (a *api) registerBoard(h huma.API) {
	register(h, operation(http.MethodGet, "/v1/board", "What is to be seen at a glance: runs, workers, components", readers...), a.board)
	op := operation(http.MethodGet, "/v1/events", "The same as it changes, as server-sent events", readers...)
	schemas := h.OpenAPI().Components.Schemas
	for _, t := range []reflect.Type{reflect.TypeFor[document.HistogramsEvent](), reflect.TypeFor[document.ByeEvent]()} {
		schemas.Schema(t, true, "") // their events' data, which the document has to have
	}
	op.Responses = map[string]*huma.Response{
		"200": {
			Description: "Events until the service stops, the token's time is over, or as many as `events` says have come: `board` is a Board with an id, " +
				"`histograms` a HistogramsEvent of a run whose histograms have changed, `bye` a ByeEvent, the last one.",
			Content: map[string]*huma.MediaType{"text/event-stream": {}}, // OpenAPI 3.1 has no schema for a stream
		},
	}
	huma.Register(h, op, a.events)
}

func (a *api) board(ctx context.Context, in *Scope) (*body[document.Board], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	b, err := a.cfg.Feed.Board(ctx, namespace)
	return &body[document.Board]{b}, err
}

// EventsQuery is what is wanted of a stream.
type EventsQuery struct {
	Scope

	Seen   string `header:"Last-Event-ID" maxLength:"100" doc:"id of the last event that was seen, which does not come again"`
	Events int    `query:"events" minimum:"0" maximum:"1000000" doc:"end after so many events; 0 for as long as there are any"`
}

func (a *api) events(ctx context.Context, in *EventsQuery) (*huma.StreamResponse, error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	who := streamKey{access.PrincipalOf(ctx).Name, admission.Line(ctx).From}
	if !a.streams.enter(who) {
		err := huma.Error429TooManyRequests("too many streams of events at once; close some, or try again")
		return nil, huma.ErrorWithHeaders(err, http.Header{"Retry-After": {"10"}})
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer a.streams.leave(who)
		r, w := humago.Unwrap(h)
		s := &stream{w: w, control: http.NewResponseController(w), left: in.Events}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // a proxy before us that waits for more would show nothing
		if err := s.begin(); err != nil {
			return
		}
		ctx, end := context.WithCancelCause(ctx)
		defer end(nil)
		defer a.whileGood(ctx, r, namespace, end)()
		_ = a.cfg.Feed.Follow(ctx, namespace, in.Seen, s.send) // or the client is gone
		if errors.Is(context.Cause(ctx), errNoLonger) {
			_ = s.send(a.cfg.Feed.Bye("the token is no longer valid", false))
		}
	}}, nil
}

// errNoLonger is why a stream ends whose token has expired or was revoked.
var errNoLonger = errors.New("the token is no longer valid")

// whileGood asks now and then whether the token of a stream is still good for the namespace that is told. Where the page is for
// everybody, who loses his token is still somebody who may look, but only at the namespace of the service.
func (a *api) whileGood(ctx context.Context, r *http.Request, namespace string, end context.CancelCauseFunc) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(a.cfg.TokenCheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			in, no := a.door.Admit(ctx, r, readers)
			if no == nil && !access.PrincipalOf(in).Sees(cmp.Or(namespace, a.cfg.Namespace)) ||
				no != nil && (no.Status == http.StatusUnauthorized || no.Status == http.StatusForbidden) {
				end(errNoLonger)
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// stream is an answer without an end.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	left    int
}

// errEnough ends a stream that has had as many events as were wanted.
var errEnough = errors.New("as many events as were wanted")

// begin sends the head. A stream has no deadline as a whole: reading and writing would end with the server's.
func (s *stream) begin() error {
	return errors.Join(s.control.SetReadDeadline(time.Time{}), s.control.SetWriteDeadline(time.Now().Add(sendLimit)), s.control.Flush())
}

func (s *stream) send(e document.Event) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	if _, err := e.WriteTo(s.w); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	if s.left > 0 && e.Name != "" {
		if s.left--; s.left == 0 {
			return errEnough
		}
	}
	return nil
}

type streamKey struct{ name, from string }

// streams counts those that each caller has.
type streams struct {
	mu sync.Mutex
	of map[streamKey]int
}

func (s *streams) enter(who streamKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[who] >= mostStreams {
		return false
	}
	s.of[who]++
	return true
}

func (s *streams) leave(who streamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[who]--; s.of[who] == 0 {
		delete(s.of, who)
	}
}
