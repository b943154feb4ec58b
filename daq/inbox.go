package daq

import (
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/logging"
)

// Inbox delivers results; it outlives connections.
type Inbox interface {
	Next(ctx context.Context) (*broker.Delivery, error)
}

// complainer logs at most once a minute and says how much it has not said. One goroutine uses it.
type complainer struct {
	log    *slog.Logger
	last   time.Time
	silent int
}

func (c *complainer) say(ctx context.Context, text, sender string, why error) {
	c.silent++
	if now := time.Now(); now.Sub(c.last) >= time.Minute {
		c.log.WarnContext(ctx, text, slog.Int("count", c.silent), slog.String("sender", sender), logging.Err(why)) //nolint:sloglint // the caller's text is static
		c.last, c.silent = now, 0
	}
}
