// Package rest asks idds how many workers are wanted.
package rest

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/document"
	"tfpilot/internal/rest"
)

// Client asks one idds for one site.
type Client struct {
	rest *rest.Client
	site string
	most int
}

var _ harvester.Demand = Client{}

// New makes a client for an address such as https://idds.example.org:8443. The token's role is harvester.
func New(base, token string) Client {
	return Client{rest: rest.New(rest.Config{Base: base, Token: token, Role: "harvester", Timeout: 10 * time.Second})}
}

// For is the client for a site, which lets runs have so many workers: idds divides what is wanted among those that ask.
func (c Client) For(site string, most int) Client {
	c.site, c.most = site, most
	return c
}

// Demand asks once: the next look comes soon. What is wanted is the part of the site, and all of it by an idds that knows no sites.
func (c Client) Demand(ctx context.Context) (document.Demand, error) {
	path := "/v1/demand"
	if c.site != "" {
		path += "?" + url.Values{"site": {c.site}, "max_workers": {strconv.Itoa(c.most)}}.Encode()
	}
	var d document.Demand
	err := c.rest.Read(ctx, path, &d)
	for i := range d.Demands {
		if c.site != "" && len(d.Demands[i].Sites) > 0 {
			c.part(&d.Demands[i])
		}
	}
	return d, err
}

// part leaves of what is wanted the part of the site. The workers of others are not ours where we have none.
func (c Client) part(d *document.RunDemand) {
	for _, part := range d.Sites {
		if part.Site == c.site {
			d.Wanted = part.Wanted
			return
		}
	}
	d.Reason = fmt.Sprintf("idds divides %d workers among other sites and has no part for %q: the token is not a harvester's, or there are too many sites", d.Wanted, c.site)
	d.Wanted = 0
}
