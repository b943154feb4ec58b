package rest

import (
	"context"
	"log/slog"
	"sync"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
)

// Teller is a program's voice at idds: its signs of life and the lines of its log. A nil one says nothing.
type Teller struct {
	client  *Client
	shipper *Shipper // nil where lines stay at home
}

// NewTeller speaks for a program: component, role and namespace of who. lines says whether lines of its log are to be sent.
func NewTeller(client *Client, who document.LogRecord, lines bool) *Teller {
	t := &Teller{client: client}
	if lines {
		t.shipper = NewShipper(client, who)
	}
	return t
}

// Logger is a logger of which idds hears too.
func (t *Teller) Logger(l *slog.Logger) *slog.Logger {
	if t == nil || t.shipper == nil {
		return l
	}
	return logging.Also(l, t.shipper)
}

// Start begins to speak. now is what the program does; nil for one that says so in another way. What is said until stop is sent,
// also when ctx has ended: the last lines say why.
func (t *Teller) Start(ctx context.Context, now func() document.Component) (stop func()) {
	if t == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	if t.shipper != nil {
		wg.Go(func() { t.shipper.Run(ctx) })
	}
	if now != nil {
		wg.Go(func() { NewPresence(t.client, now).Run(ctx) })
	}
	return func() { cancel(); wg.Wait() }
}
