package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/stomp"
)

// Out is a message to be published.
type Out struct {
	Destination string
	Body        []byte
	// Headers are pairs of key and value. For a message that must survive the broker, persistent:true is one of them.
	Headers []string
	// DuplicateID becomes _AMQ_DUPL_ID: the broker drops a second message with the same one as long as it remembers.
	DuplicateID string
}

// Publish returns nil after the broker's receipt. It repeats over lost connections until ctx ends, or Run (ErrClosed): then
// nobody knows whether the broker has the message. A refusal of this very message, a [*stomp.ServerError] inside, is returned
// at once; it has cost the connection, and what to do about it is the caller's to say.
func (l *Link) Publish(ctx context.Context, m Out) error {
	headers := headersOf(m)
	var s *session
	for {
		next, err := l.await(ctx, s)
		if err != nil {
			return l.unreached(fmt.Errorf("publishing to %s: %w", m.Destination, err))
		}
		s = next
		r, err := s.Send(ctx, m.Destination, m.Body, headers...)
		if err == nil {
			err = r.Wait(ctx)
		}
		switch {
		case err == nil:
			s.answered.Store(true)
			return nil
		case errors.Is(err, stomp.ErrClosed):
			l.log.InfoContext(ctx, "publishing again", slog.String("destination", m.Destination), logging.Err(err))
		case ctx.Err() != nil:
			return exitcode.New(exitcode.NoBroker, "publishing to %s: %w", m.Destination, err)
		default:
			return exitcode.New(exitcode.BrokerRefused, "publishing to %s: %w", m.Destination, err)
		}
	}
}

// unreached adds to the end of waiting for a connection why there was none: a wrong passcode and a broker that is down differ.
func (l *Link) unreached(err error) error {
	if why := l.State().Err; why != nil && !errors.Is(why, ErrClosed) {
		return exitcode.Wrap(exitcode.From(why), fmt.Errorf("%w; %w", err, why))
	}
	return exitcode.Wrap(exitcode.NoBroker, err)
}
