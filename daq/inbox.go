package daq

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
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

// difference names the keys in which two plans differ.
func difference(a, b Plan) string {
	var keys []string
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if x, y := va.Field(i).Interface(), vb.Field(i).Interface(); x != y {
			keys = append(keys, fmt.Sprintf("%s was %v, is %v", va.Type().Field(i).Tag.Get("toml"), x, y))
		}
	}
	return strings.Join(keys, ", ")
}
