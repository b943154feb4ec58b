package daq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// Inbox delivers results; it outlives connections.
type Inbox interface {
	Next(ctx context.Context) (*broker.Delivery, error)
}

// awaitResults waits until every slice has its final result.
func (d *DAQ) awaitResults(ctx context.Context) error {
	if d.cfg.WaitResults == 0 {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, d.cfg.WaitResults)
	defer cancel()
	for {
		c, changed := d.books.Counts()
		if c.Unanswered <= 0 {
			d.log.InfoContext(ctx, "all results are in", slog.Int("done", c.Done), slog.Int("failed", c.Failed))
			return nil
		}
		select {
		case <-changed:
		case <-within.Done():
			if ctx.Err() != nil {
				return d.stop(ctx, context.Cause(ctx), 0)
			}
			return nil // the report says what is missing
		}
	}
}

// readResults keeps the books: journal first, then the acknowledgement.
func (d *DAQ) readResults(ctx context.Context, inbox Inbox) error {
	junk := &complainer{log: d.log}
	for {
		m, err := inbox.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it ends because it is to end
			}
			return fmt.Errorf("reading results: %w", err)
		}
		if e, err := message.Peek(m.Body); err == nil && e.Namespace != "" && e.Namespace != d.cfg.Namespace {
			// Somebody's data under a header that lied: the broker gets it back when we leave.
			junk.say(ctx, "a result of another namespace came here", e.Sender, errors.New(e.Namespace))
			continue
		}
		v, ok, why := d.books.Judge(m.Body, time.Now())
		if ok {
			if err := d.journal.Append(Record{Result: &v}); err != nil {
				return err
			}
			d.books.Enter(v)
			d.logVerdict(ctx, v)
		} else {
			junk.say(ctx, "ignored a message on the results queue", m.Header.Get("sender"), why)
		}
		if err := m.Ack(ctx); err != nil && ctx.Err() == nil {
			d.log.DebugContext(ctx, "a result will come again", logging.Err(err))
		}
	}
}

func (d *DAQ) logVerdict(ctx context.Context, v Verdict) {
	if v.Done {
		d.log.DebugContext(ctx, "slice done", slog.String(logging.KeySlice, v.ReqID), slog.Int(logging.KeyAttempt, v.Attempt))
		return
	}
	d.log.WarnContext(ctx, "slice failed", slog.String(logging.KeySlice, v.ReqID), slog.Int(logging.KeyAttempt, v.Attempt),
		slog.Bool("final", v.Final), slog.String("reason", v.Reason))
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
