package guard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// ErrPaused is in the error of a command that was not run.
var ErrPaused = errors.New("the batch system was not asked")

// Config is how a batch system is spared.
type Config struct {
	MinInterval time.Duration `toml:"min_interval" help:"time between two commands of one kind at least (default: none for local pilots, else 5s)"`
	Trip        int           `toml:"trip" default:"3" help:"after so many commands in a row that failed none is tried for a pause"`
	Pause       time.Duration `toml:"pause" default:"30s" help:"the first pause; each further one is twice as long"`
	MaxPause    time.Duration `toml:"max_pause" default:"10m" help:"the longest pause"`
}

// Batch is a batch system that is spared.
type Batch struct {
	harvester.BatchSystem

	cfg Config

	mu    sync.Mutex
	kinds map[string]*breaker
}

// breaker is the state of one kind of command.
type breaker struct {
	next     time.Time // not before
	failures int       // in a row
	until    time.Time // of the pause
	last     error
}

// New puts a guard before a batch system.
func New(batch harvester.BatchSystem, cfg Config) *Batch {
	config.Defaults(&cfg)
	return &Batch{BatchSystem: batch, cfg: cfg, kinds: map[string]*breaker{}}
}

// Queue is the batch system's, or ErrPaused.
func (g *Batch) Queue(ctx context.Context) (jobs []harvester.Job, err error) {
	err = g.do(ctx, "listing jobs", func() (err error) {
		jobs, err = g.BatchSystem.Queue(ctx)
		return err
	})
	return jobs, err
}

// History is the batch system's, or ErrPaused.
func (g *Batch) History(ctx context.Context, ids []string) (found map[string]harvester.Status, err error) {
	err = g.do(ctx, "asking about ended jobs", func() (err error) {
		found, err = g.BatchSystem.History(ctx, ids)
		return err
	})
	return found, err
}

// Cancel is the batch system's, or ErrPaused.
func (g *Batch) Cancel(ctx context.Context, ids []string) error {
	return g.do(ctx, "cancelling jobs", func() error { return g.BatchSystem.Cancel(ctx, ids) })
}

// Submit is the batch system's, at its time.
func (g *Batch) Submit(ctx context.Context, s harvester.Submission) (ids []string, err error) {
	if err := g.wait(ctx, g.of("submitting")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPaused, err)
	}
	return g.BatchSystem.Submit(ctx, s)
}

// of is the state of a kind of command.
func (g *Batch) of(kind string) *breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.kinds[kind]
	if b == nil {
		b = &breaker{}
		g.kinds[kind] = b
	}
	return b
}

// do runs one command when its time has come.
func (g *Batch) do(ctx context.Context, kind string, command func() error) error {
	b := g.of(kind)
	g.mu.Lock()
	until, failures, last := b.until, b.failures, b.last
	g.mu.Unlock()
	if time.Now().Before(until) {
		// No time left is named: the error is to read the same until it is tried again.
		return exitcode.New(exitcode.NoBatch, "%w: %s failed %d times in a row, next try at %s: %w", ErrPaused, kind, failures, until.Format(time.TimeOnly), last)
	}
	if err := g.wait(ctx, b); err != nil {
		return err
	}
	err := command()
	if ctx.Err() != nil {
		return err // our own end says nothing about the batch system
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		b.failures, b.until, b.last = 0, time.Time{}, nil
		return nil
	}
	b.failures++
	b.last = err
	if over := b.failures - g.cfg.Trip; over >= 0 {
		b.until = time.Now().Add(jitter(min(g.cfg.MaxPause, g.cfg.Pause<<min(over, 16))))
	}
	return err
}

// wait holds a command until the minimum interval is over.
func (g *Batch) wait(ctx context.Context, b *breaker) error {
	g.mu.Lock()
	now := time.Now()
	at := now
	if b.next.After(now) {
		at = b.next
	}
	b.next = at.Add(jitter(g.cfg.MinInterval))
	g.mu.Unlock()
	if at.Equal(now) {
		return nil
	}
	t := time.NewTimer(at.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jitter is a duration, or up to a fifth more.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Float64()*0.2*float64(d)) //nolint:gosec // spreads load, guards no secret
}
