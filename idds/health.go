package idds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// Health is what is wrong with the service, or with what it stands on.
func (s *Service) Health(context.Context) message.HealthDocument {
	now := time.Now()
	doc := message.HealthDocument{At: now.UTC(), OK: true, Parts: []message.HealthPart{s.watch.Health(now), s.brokerHealth(), s.subscribedHealth(), s.backlogHealth()}}
	for _, p := range doc.Parts {
		doc.OK = doc.OK && p.OK
	}
	return doc
}

func (s *Service) brokerHealth() message.HealthPart {
	state := s.link.State()
	part := message.HealthPart{Name: "broker", OK: state.Connected, Since: state.Since.UTC()}
	if state.Connected {
		part.Details = fmt.Sprintf("connected to %s, which is %s", state.Addr, state.Server)
		return part
	}
	why := state.Err
	if why == nil {
		why = errors.New("no broker was found yet")
	}
	part.Details = logging.Redact("no connection: " + why.Error())
	return part
}

func (s *Service) subscribedHealth() message.HealthPart {
	if n := s.unready.Load(); n > 0 {
		return message.HealthPart{Name: "subscriptions", Details: fmt.Sprintf("the broker has not confirmed %d since the start", n)}
	}
	return message.HealthPart{Name: "subscriptions", OK: true, Details: "all were confirmed"}
}

func (s *Service) backlogHealth() message.HealthPart {
	if s.results.Lasts(s.now(), behindLimit) {
		return message.HealthPart{Name: "backlog", Details: fmt.Sprintf("results have been waiting for more than %s: more come than are taken in", behindLimit)}
	}
	return message.HealthPart{Name: "backlog", OK: true, Details: "results are taken in as they come"}
}
