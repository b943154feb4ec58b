package testbed

import (
	"context"
	"net/url"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/rest"
)

// Client asks idds as a viewer.
type Client struct{ rest *rest.Client }

// NewClient makes a client of the idds at an address such as http://127.0.0.1:8443.
func NewClient(base, token string) *Client {
	return &Client{rest.New(rest.Config{Base: base, Token: token, Retries: 4})}
}

// Check is the accounting of a run.
func (c *Client) Check(ctx context.Context, run string) (document.RunCheck, error) {
	var out document.RunCheck
	return out, c.rest.Read(ctx, "/v1/runs/"+url.PathEscape(run)+"/check", &out)
}

// Run is the state of a run.
func (c *Client) Run(ctx context.Context, run string) (document.Run, error) {
	var out document.Run
	return out, c.rest.Read(ctx, "/v1/runs/"+url.PathEscape(run), &out)
}

// Workers are all pilots that ever reported.
func (c *Client) Workers(ctx context.Context) ([]document.Worker, error) {
	var out document.Page[document.Worker]
	err := c.rest.Read(ctx, "/v1/workers?limit=1000", &out)
	return out.Items, err
}

// Failed are the failed slices of a run, at most 1000.
func (c *Client) Failed(ctx context.Context, run string) ([]document.Slice, error) {
	var out document.Page[document.Slice]
	err := c.rest.Read(ctx, "/v1/slices?state=failed&limit=1000&run="+url.QueryEscape(run), &out)
	return out.Items, err
}

// Histograms are the merged histograms of a run.
func (c *Client) Histograms(ctx context.Context, run string) (hist.Set, error) {
	var out struct {
		Histograms hist.Set `json:"histograms"`
	}
	err := c.rest.Read(ctx, "/v1/runs/"+url.PathEscape(run)+"/histograms", &out)
	return out.Histograms, err
}
