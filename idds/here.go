package idds

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// Two idds of one namespace on one broker, each with a store of its own, would share queues and subscriptions without a word: half of the
// slices and half of the results come to either, and no run of either adds up. So each says now and then that it is there. The broker
// gives these messages, too, now to the one and now to the other.

// hereTimes is how many messages say it at once: with one the other would hear of it half as often.
const hereTimes = 4

// sayHere tells another idds of the namespace, if there is one, that this one is there. Where the login may not send there it is not tried
// again: a broker ends the connection of who tries.
func (s *Service) sayHere(ctx context.Context) error {
	if s.mute {
		return nil
	}
	body, err := json.Marshal(message.Envelope{
		MsgType: message.TypeHeartbeat, Namespace: s.cfg.Namespace, Sender: s.ledger.Sender, CreatedAt: message.At(s.now()),
	})
	if err != nil {
		return fmt.Errorf("encoding a heart-beat: %w", err)
	}
	headers := []string{
		"persistent", "false", "msg_type", message.TypeHeartbeat, "namespace", s.cfg.Namespace, "vo", message.VO,
		"expires", strconv.FormatInt(s.cfg.Now().Add(s.cfg.HereEvery).UnixMilli(), 10),
	}
	for range hereTimes {
		if err := s.link.Publish(ctx, broker.Out{Destination: message.TopicWorkers, Body: body, Headers: headers}); err != nil {
			s.mute = s.refused(ctx, message.TypeHeartbeat, err)
			return nil // the next time
		}
	}
	return nil
}

// isHere reports whether a message is what another idds of the namespace says of itself.
func (s *Service) isHere(e message.Envelope) bool {
	return e.MsgType == message.TypeHeartbeat && e.Namespace == s.cfg.Namespace && strings.HasPrefix(e.Sender, s.cfg.Namespace+".idds.")
}

// readHere understands that there is another idds. What one has said that has ended since, such as the one on the store of before, is old.
func (s *Service) readHere(ctx context.Context, e message.Envelope) entry {
	if e.CreatedAt.Time().Before(s.started) {
		return entry{apply: func(ledger.Tx, time.Time) error { return nil }}
	}
	return entry{
		apply: func(tx ledger.Tx, now time.Time) error {
			_, err := ledger.Second(tx, s.cfg.Namespace, ledger.DutyBooks, e.Sender, "", now)
			return err
		},
		tell: func() {
			s.another.Do(func() {
				s.log.ErrorContext(ctx, "another idds takes messages of this namespace: each of the two has only part of the books, and no run adds up; end one of them",
					slog.String("sender", fmt.Sprintf("%.80s", e.Sender)))
			})
		},
	}
}
