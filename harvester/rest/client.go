// Package rest asks idds how many workers are wanted.
package rest

import (
	"context"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/message"
	"tfpilot/internal/rest"
)

// Client asks one idds.
type Client struct{ rest *rest.Client }

var _ harvester.Demand = Client{}

// New makes a client for an address such as https://idds.example.org:8443. The token's role is harvester.
func New(base, token string) Client {
	return Client{rest.New(rest.Config{Base: base, Token: token, Role: "harvester", Timeout: 10 * time.Second})}
}

// Demand asks once: the next look comes soon.
func (c Client) Demand(ctx context.Context) (message.DemandDocument, error) {
	var d message.DemandDocument
	return d, c.rest.Read(ctx, "/v1/demand", &d)
}
