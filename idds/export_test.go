package idds

import (
	"context"
	"time"

	"tfpilot/internal/broker"
)

// SetClock makes the service see another time.
func (s *Service) SetClock(now func() time.Time) { s.now = now }

// SetBehind makes the service believe that results wait for it, or that none do.
func (s *Service) SetBehind(is bool) { s.behind = func() bool { return is } }

// Resume puts the clock to no earlier than what the store has seen.
func (s *Service) Resume(ctx context.Context) error { return s.resume(ctx) }

// FindLost looks once for attempts that nobody holds.
func (s *Service) FindLost(ctx context.Context) error { return s.findLost(ctx) }

// CloseRuns looks once for runs that are complete or out of time.
func (s *Service) CloseRuns(ctx context.Context) error { return s.closeRuns(ctx) }

// Take handles a batch of messages as one of a subscription.
func (s *Service) Take(ctx context.Context, from string, deliveries []*broker.Delivery) ([]*broker.Delivery, error) {
	return s.take(ctx, from, deliveries)
}

// LookBack looks once at some of the runs for which there is nothing to be done.
func (s *Service) LookBack(ctx context.Context) error { return s.lookBack(ctx) }

// Sparingly lets work rest after it was done.
func Sparingly(work func(context.Context) error) func(context.Context) error { return sparingly(work) }
