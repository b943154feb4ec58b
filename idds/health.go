package idds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// Health is what is wrong with the service, or with what it stands on.
func (s *Service) Health(context.Context) document.Health {
	now := time.Now()
	doc := document.Health{At: now.UTC(), OK: true, Parts: []document.HealthPart{s.watch.Health(now), s.brokerHealth(), s.subscribedHealth(), s.backlogHealth(), s.clockHealth()}}
	for _, p := range doc.Parts {
		doc.OK = doc.OK && p.OK
	}
	return doc
}

func (s *Service) brokerHealth() document.HealthPart {
	state := s.link.State()
	part := document.HealthPart{Name: "broker", OK: state.Connected, Since: state.Since.UTC()}
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

func (s *Service) subscribedHealth() document.HealthPart {
	if n := s.unready.Load(); n > 0 {
		return document.HealthPart{Name: "subscriptions", Details: fmt.Sprintf("the broker has not confirmed %d since the start", n)}
	}
	return document.HealthPart{Name: "subscriptions", OK: true, Details: "all were confirmed"}
}

// clockHealth says whether the machine's clock agrees with the time that all is told by, which goes on steadily.
func (s *Service) clockHealth() document.HealthPart {
	by := s.clock.aheadOf(s.cfg.Now())
	if by.Abs() <= message.MostAhead {
		return document.HealthPart{Name: "clock", OK: true, Details: "that of the machine goes on steadily"}
	}
	where := "ahead of"
	if by > 0 {
		where = "behind"
	}
	return document.HealthPart{Name: "clock", Details: fmt.Sprintf("the machine's clock is %s %s the time that idds goes by: it was set, or the machine was asleep; "+
		"times to results are wrong by as much, until the clock is right and idds is started again", by.Abs().Round(time.Second), where)}
}

func (s *Service) backlogHealth() document.HealthPart {
	if s.results.Lasts(s.now(), behindLimit) {
		return document.HealthPart{Name: "backlog", Details: fmt.Sprintf("results have been waiting for more than %s: more come than are taken in", behindLimit)}
	}
	return document.HealthPart{Name: "backlog", OK: true, Details: "results are taken in as they come"}
}
