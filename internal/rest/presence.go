package rest

import (
	"context"
	"time"

	"tfpilot/internal/document"
)

// presenceEvery is how often a program says that it is alive.
const presenceEvery = 10 * time.Second

// Presence tells idds that a program is alive, and what it does. That idds is away is nothing to it: the next word comes soon.
type Presence struct {
	client *Client
	now    func() document.Component
}

// NewPresence tells what now says; its own time and rhythm are filled in.
func NewPresence(client *Client, now func() document.Component) *Presence {
	return &Presence{client, now}
}

// Run tells it at once and then again and again until ctx ends, and at last that the program has gone.
func (p *Presence) Run(ctx context.Context) {
	p.tell(ctx, "", shipLimit)
	t := time.NewTicker(presenceEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.tell(ctx, "", shipLimit)
		case <-ctx.Done():
			p.tell(context.WithoutCancel(ctx), "EXITED", lastLimit)
			return
		}
	}
}

func (p *Presence) tell(ctx context.Context, state string, limit time.Duration) {
	c := p.now()
	c.HeartbeatSeconds = presenceEvery.Seconds()
	if state != "" {
		c.State = state
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = p.client.Post(ctx, "/v1/components", c, new(document.Component)) // the next comes soon
}
