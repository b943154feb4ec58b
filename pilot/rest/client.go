// Package rest is a pilot's line to idds: the broker configuration, and the reports.
package rest

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/rest"
)

// Client asks one idds.
type Client struct {
	base    string
	patient *rest.Client // for what cannot be done without
	quick   *rest.Client // for reports, of which the next comes soon
}

var _ heartbeat.Reporter = (*Client)(nil)

// role is what the token has to be of.
const role = "pilot"

// New makes a client for an address such as https://idds.example.org:8443. The token is sent as bearer token.
func New(base, token string) *Client {
	return &Client{
		base:    base,
		patient: rest.New(rest.Config{Base: base, Token: token, Role: role, Retries: 5}),
		quick:   rest.New(rest.Config{Base: base, Token: token, Role: role, Timeout: 3 * time.Second}),
	}
}

// PromptBroker fetches the broker configuration.
func (c *Client) PromptBroker(ctx context.Context) (metainfo.PromptBroker, error) {
	var out metainfo.PromptBroker
	if err := c.patient.Read(ctx, "/metainfo/prompt_broker", &out); err != nil {
		return out, err
	}
	if err := out.Validate(); err != nil {
		return out, exitcode.New(exitcode.BadConfig, "broker configuration from %s: %w", c.base, err)
	}
	return out, nil
}

// Teller sends the lines of a log.
func (c *Client) Teller(who document.LogRecord) *rest.Teller {
	return rest.NewTeller(c.quick, who, true)
}

// Report sends one report.
func (c *Client) Report(ctx context.Context, w document.WorkerReport) (document.WorkerReply, error) {
	var out document.WorkerReply
	return out, c.quick.Post(ctx, "/v1/workers", w, &out)
}
