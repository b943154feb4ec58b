package fitness

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tfpilot/internal/pause"
)

// Config is how a node is watched. The functions may all be nil.
type Config struct {
	// Hold is how long an unfit node is tested again before it is left; 0 leaves it at once.
	Hold time.Duration
	// Every is the time between two examinations of a fit node; 0 for the first one alone.
	Every time.Duration
	// Open is called once the node has been found fit, before anybody is let through: it opens what lies on the node's disks, which
	// would hang or fail on a node that is not.
	Open func() error
	// Busy says whether payloads are at work.
	Busy func() bool
	// Changed is called when the node has become fit, or is held.
	Changed func()
}

// Gate is open while the node is fit. Make it with New.
type Gate struct {
	node   Node
	cfg    Config
	log    *slog.Logger
	opened bool               // what lies on the node's disks
	told   map[string]Verdict // what was said of each test

	mu      sync.Mutex
	while   context.Context //nolint:containedctx // the time in which the node is fit, shared by all who ask
	end     context.CancelFunc
	changed chan struct{}
	hold    string
}

// New makes a gate that is closed until Watch has found the node fit. A nil node is taken for fit.
func New(node Node, cfg Config, log *slog.Logger) *Gate {
	if node == nil {
		node = noTests{}
	}
	if cfg.Open == nil {
		cfg.Open = func() error { return nil }
	}
	if cfg.Busy == nil {
		cfg.Busy = func() bool { return false }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	return &Gate{node: node, cfg: cfg, log: log, told: map[string]Verdict{}, changed: make(chan struct{})}
}

// noTests takes every node for fit.
type noTests struct{}

func (noTests) Test(context.Context, bool) []Finding { return nil }

// State is whether slices may be taken: while is a context that ends when the node is found unfit, nil when it is not fit; changed is
// closed the next time that it is found fit; hold says what is wrong, and until when that is waited for, and is empty while nothing is
// known to be.
func (g *Gate) State() (while context.Context, changed <-chan struct{}, hold string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.while != nil && g.while.Err() == nil {
		while = g.while
	}
	return while, g.changed, g.hold
}

// Hold is what is wrong with the node, empty while nothing is known to be.
func (g *Gate) Hold() string {
	_, _, hold := g.State()
	return hold
}

// Watch examines the node before the first slice and then now and again, until ctx ends; it returns why the node is to be left, nil
// when it is not. While it is not fit nobody is let through, what runs is finished, and it is examined again sooner; a node that stays
// unfit for the hold is left. A pilot that left at once would make room for the next one, which would fare no better, and a bad node
// would eat the queue.
func (g *Gate) Watch(ctx context.Context) error {
	var since time.Time // when it was first found unfit
	for n := 0; ctx.Err() == nil; n++ {
		bad := g.examine(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil: // and what was found is worth nothing
			continue
		case len(bad) == 0:
			if err := g.becomeFit(ctx); err != nil {
				return err
			}
			if !since.IsZero() {
				g.log.InfoContext(ctx, "node is fit again", slog.Duration("after", now.Sub(since)))
				since = time.Time{}
			}
			if g.cfg.Every == 0 {
				return nil
			}
			_ = pause.For(ctx, g.cfg.Every)
			continue
		case since.IsZero():
			since, n = now, 0
		}
		left := g.cfg.Hold - now.Sub(since)
		g.becomeUnfit(bad, now.Add(left))
		if left <= 0 {
			return unfit(bad, g.cfg.Hold)
		}
		// Soon, because it may be over as soon, then after twice as long each time, up to a sixth of the hold.
		_ = pause.For(ctx, min(left, g.cfg.Hold/600<<min(n, 7), g.cfg.Hold/6))
	}
	return nil
}

// examine runs the tests and logs what is not well when that is news. It returns the bad ones.
func (g *Gate) examine(ctx context.Context) (bad []Finding) {
	began := time.Now()
	findings := g.node.Test(ctx, g.cfg.Busy())
	if ctx.Err() != nil {
		return nil
	}
	for i, f := range findings {
		key := fmt.Sprint(i, f.Test) // there may be several of a name
		level := slog.LevelWarn
		switch f.Verdict {
		case Bad:
			bad, level = append(bad, f), slog.LevelError
		case Warning, Unknown:
		case OK, NotNeeded:
			level = slog.LevelDebug
		}
		if g.told[key] != f.Verdict {
			g.log.Log(ctx, level, "node tested", slog.String("test", f.Test), slog.String("verdict", string(f.Verdict)), slog.String("found", f.Found), slog.String("next", f.Next))
		}
		g.told[key] = f.Verdict
	}
	g.log.DebugContext(ctx, "node examined", slog.Int("tests", len(findings)), slog.Int("bad", len(bad)), slog.Duration("took", time.Since(began)))
	return bad
}

// becomeFit lets everybody through. The first time it opens what lies on the node's disks.
func (g *Gate) becomeFit(ctx context.Context) error {
	if !g.opened {
		if err := g.cfg.Open(); err != nil {
			return err
		}
		g.opened = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.while != nil && g.while.Err() == nil {
		return nil
	}
	g.while, g.end = context.WithCancel(ctx)
	g.hold = ""
	close(g.changed)
	g.changed = make(chan struct{})
	g.cfg.Changed()
	return nil
}

// becomeUnfit closes the gate.
func (g *Gate) becomeUnfit(bad []Finding, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold == "" {
		g.log.Warn("slots held: the node is not fit", slog.Time("until", until), slog.String("reason", summary(bad)))
	}
	g.hold = fmt.Sprintf("held until %s: %s", until.UTC().Format("15:04:05"), summary(bad))
	if g.end != nil {
		g.end()
	}
	g.cfg.Changed()
}
