package prompt_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/payload"
	"tfpilot/pilot"
	"tfpilot/pilot/prompt"
)

// clock notes when a line was written.
type clock struct {
	mu    sync.Mutex
	lines []time.Time
}

func (c *clock) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, time.Now())
	return len(b), nil
}

// A pilot that nothing happens to, because it has no broker, is the one that says least.
func TestAPilotWritesALineAtLeastEveryTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const hours = 3 * time.Hour
		out := &clock{}
		log := slog.New(slog.NewTextHandler(out, nil))
		link, err := broker.New(broker.Config{
			Addrs: []string{"broker:61613"}, Logger: logging.Discard(),
			Dial: func(context.Context, string) (*stomp.Conn, error) { return nil, errors.New("nobody there") },
		})
		must(t, err)
		var cfg pilot.Config
		config.Defaults(&cfg)
		cfg.BrokerTimeout = 0
		p, err := pilot.New(pilot.Parts{Link: link, Runner: idle{}, Reporter: prompt.NewReporter(nil, log), Logger: log},
			pilot.Destinations{Slices: "/queue/s", Broadcast: "/topic/b", Results: "/topic/r"}, cfg)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), hours)
		defer cancel()
		began := time.Now()
		done := make(chan struct{})
		linkCtx, hangUp := context.WithCancel(t.Context())
		go func() { defer close(done); _ = link.Run(linkCtx) }()
		_ = p.Run(ctx)
		hangUp()
		<-done
		last := began
		for _, at := range append(out.lines, began.Add(hours)) {
			if gap := at.Sub(last); gap > 10*time.Minute {
				t.Errorf("nothing for %s, %s after the start", gap, last.Sub(began))
			}
			last = at
		}
	})
}

// idle is a payload that is ready and gets no slice.
type idle struct{ pilot.Runner }

func (idle) Prepare(context.Context, int) (payload.Startup, error) { return payload.Startup{}, nil }
func (idle) Identity() message.PayloadIdentity                     { return message.PayloadIdentity{Name: "idle"} }
