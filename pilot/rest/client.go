// Package rest is a pilot's line to idds: the broker configuration, and the reports.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

// Client asks one idds.
type Client struct {
	base, token string
	patient     *retryablehttp.Client // for what cannot be done without
	quick       *http.Client          // for reports, of which the next comes soon
}

var _ pilot.Reporter = (*Client)(nil)

// New makes a client for an address such as https://idds.example.org:8443. The token is sent as bearer token.
func New(base, token string) *Client {
	p := retryablehttp.NewClient()
	p.Logger, p.RetryMax, p.RetryWaitMin, p.RetryWaitMax = nil, 5, 200*time.Millisecond, 5*time.Second
	p.ErrorHandler = retryablehttp.PassthroughErrorHandler
	p.HTTPClient.Timeout = 20 * time.Second
	return &Client{base: strings.TrimSuffix(base, "/"), token: token, patient: p, quick: &http.Client{Timeout: 3 * time.Second}}
}

// PromptBroker fetches the broker configuration.
func (c *Client) PromptBroker(ctx context.Context) (message.PromptBroker, error) {
	var out message.PromptBroker
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, c.base+"/metainfo/prompt_broker", nil)
	if err != nil {
		return out, exitcode.New(exitcode.BadConfig, "idds address %s: %w", c.base, err)
	}
	c.sign(req.Request)
	resp, err := c.patient.Do(req)
	if err != nil {
		return out, exitcode.New(exitcode.NoService, "asking idds at %s for the broker configuration: %w", c.base, err)
	}
	if err := c.read(resp, &out); err != nil {
		return out, err
	}
	if err := out.Validate(); err != nil {
		return out, exitcode.New(exitcode.BadConfig, "broker configuration from %s: %w", c.base, err)
	}
	return out, nil
}

// Report sends one report.
func (c *Client) Report(ctx context.Context, w message.WorkerReport) (message.WorkerReply, error) {
	var out message.WorkerReply
	b, err := json.Marshal(w)
	if err != nil {
		return out, exitcode.New(exitcode.Internal, "encoding a report: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/workers", bytes.NewReader(b))
	if err != nil {
		return out, exitcode.New(exitcode.BadConfig, "idds address %s: %w", c.base, err)
	}
	req.Header.Set("Content-Type", "application/json")
	c.sign(req)
	resp, err := c.quick.Do(req)
	if err != nil {
		return out, exitcode.New(exitcode.NoService, "reporting to idds at %s: %w", c.base, err)
	}
	return out, c.read(resp, &out)
}

func (c *Client) sign(r *http.Request) { r.Header.Set("Authorization", "Bearer "+c.token) }

// read decodes an answer; a refusal says whose fault it is.
func (c *Client) read(resp *http.Response, into any) error {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	switch {
	case err != nil:
		return exitcode.New(exitcode.NoService, "reading the answer of %s: %w", c.base, err)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return exitcode.New(exitcode.NoCredential, "idds at %s refused the token: %s", c.base, resp.Status)
	case resp.StatusCode/100 != 2:
		return exitcode.New(exitcode.NoService, "idds at %s answered %s", c.base, resp.Status)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return exitcode.New(exitcode.NoService, "decoding the answer of %s: %w", c.base, err)
	}
	return nil
}
