package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// silence is for how long a stream of events may say nothing before it counts as dead: idds says something every 10 s.
const silence = 35 * time.Second

var errSilent = errors.New("it has been silent for too long")

// Follow hands over the events of a path as they come, until the stream ends, ctx does, or each returns an error. seen is the id of the
// last event of an earlier stream, which does not come again.
func (c *Client) Follow(ctx context.Context, path, seen string, each func(document.Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, http.NoBody)
	if err != nil {
		return exitcode.New(exitcode.BadConfig, "idds address %s: %w", c.base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if seen != "" {
		req.Header.Set("Last-Event-ID", seen)
	}
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	// The client of other requests ends them after a time.
	resp, err := (&http.Client{Transport: c.http.HTTPClient.Transport}).Do(req)
	if err != nil {
		return exitcode.New(exitcode.NoService, "asking idds: %w", because(ctx, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the status alone says it
		return c.refused(resp.StatusCode, path, b)
	}
	err = document.ReadEvents(resp.Body, func(e document.Event) error {
		quiet.Reset(silence)
		return each(document.Event{Name: e.Name, ID: e.ID, Data: bytes.Clone(e.Data)})
	})
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return exitcode.New(exitcode.NoService, "following idds at %s: %w", c.base, because(ctx, err))
}

// because prefers why a context has ended.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
