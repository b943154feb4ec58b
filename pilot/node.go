package pilot

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
)

// Node tells whether this node is fit to work on slices.
type Node interface {
	// Test looks at everything, each test within a time of its own, and returns one finding for each. Calm says that payloads are
	// at work beside it: what it starts has the lowest priority then.
	Test(ctx context.Context, calm bool) []NodeFinding
}

// NodeVerdict is what a test of the node comes to.
type NodeVerdict string

// The verdicts. Only a bad one keeps a pilot from work.
const (
	NodeOK      NodeVerdict = "ok"
	NodeWarning NodeVerdict = "warning"
	NodeBad     NodeVerdict = "bad"
	// NodeUnknown is of a test that could not tell.
	NodeUnknown NodeVerdict = "unknown"
	// NodeNotNeeded is of something that is not as it should be, but that nobody has asked for.
	NodeNotNeeded NodeVerdict = "not needed"
)

// NodeFinding is what one test found.
type NodeFinding struct {
	Test    string      `json:"test"`
	Verdict NodeVerdict `json:"verdict"`
	Found   string      `json:"found"`
	// Next is what to do about it.
	Next string `json:"next,omitempty"`
	// Failure is the name of a bad one in the table of exit codes.
	Failure string  `json:"failure,omitempty"`
	Seconds float64 `json:"seconds"`
}

// fitness is whether the slots may take slices. The zero one is not known yet.
type fitness struct {
	// while ends when the node is found unfit; nil until it is found fit.
	while context.Context //nolint:containedctx // the time in which the node is fit, shared by all slots
	end   context.CancelFunc
	// changed is closed, and replaced, when while is set.
	changed chan struct{}
	// hold is what is wrong, empty while nothing is.
	hold string
}

// noTests takes every node for fit.
type noTests struct{}

func (noTests) Test(context.Context, bool) []NodeFinding { return nil }

// watchNode examines the node before the first slice and then now and again, until ctx ends. While it is not fit no slot takes a
// slice, what runs is finished, and it is examined again sooner; a node that stays unfit for the hold is left. A pilot that left
// at once would make room for the next one, which would fare no better, and a bad node would eat the queue.
func (p *Pilot) watchNode(ctx context.Context, stop context.CancelCauseFunc) {
	var since time.Time // when it was first found unfit
	told := map[string]NodeVerdict{}
	for n := 0; ; n++ {
		bad := p.examine(ctx, told)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case len(bad) == 0:
			if err := p.becomeFit(ctx); err != nil {
				stop(err)
				return
			}
			if !since.IsZero() {
				p.log.InfoContext(ctx, "node is fit again", slog.Duration("after", now.Sub(since)))
				since = time.Time{}
			}
			if p.cfg.NodeEvery == 0 || pause.For(ctx, p.cfg.NodeEvery) != nil {
				return
			}
			continue
		case since.IsZero():
			since, n = now, 0
		}
		left := p.cfg.NodeHold - now.Sub(since)
		p.becomeUnfit(bad, now.Add(left))
		if left <= 0 {
			stop(nodeUnfit(bad, p.cfg.NodeHold))
			return
		}
		// Soon, because it may be over as soon, then after twice as long each time, up to a sixth of the hold.
		if pause.For(ctx, min(left, p.cfg.NodeHold/600<<min(n, 7), p.cfg.NodeHold/6)) != nil {
			return
		}
	}
}

// examine runs the tests and logs what is not well when that is news: told is what was said of each. It returns the bad ones.
func (p *Pilot) examine(ctx context.Context, told map[string]NodeVerdict) (bad []NodeFinding) {
	began := time.Now()
	findings := p.node.Test(ctx, p.busy())
	if ctx.Err() != nil {
		return nil
	}
	for i, f := range findings {
		key := fmt.Sprint(i, f.Test) // there may be several of a name
		level := slog.LevelWarn
		switch f.Verdict {
		case NodeBad:
			bad, level = append(bad, f), slog.LevelError
		case NodeWarning, NodeUnknown:
		case NodeOK, NodeNotNeeded:
			level = slog.LevelDebug
		}
		if told[key] != f.Verdict {
			p.log.Log(ctx, level, "node tested", slog.String("test", f.Test), slog.String("verdict", string(f.Verdict)), slog.String("found", f.Found), slog.String("next", f.Next))
		}
		told[key] = f.Verdict
	}
	p.log.DebugContext(ctx, "node examined", slog.Int("tests", len(findings)), slog.Int("bad", len(bad)), slog.Duration("took", time.Since(began)))
	return bad
}

func (p *Pilot) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.inHand) > 0
}

// becomeFit lets the slots take slices. The first time it opens what lies on the node's disks.
func (p *Pilot) becomeFit(ctx context.Context) error {
	if p.open != nil {
		if err := p.open(); err != nil {
			return err
		}
		p.open = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fit.while != nil && p.fit.while.Err() == nil {
		return nil
	}
	p.fit.while, p.fit.end = context.WithCancel(ctx)
	p.fit.hold = ""
	close(p.fit.changed)
	p.fit.changed = make(chan struct{})
	p.tellSoon()
	return nil
}

// becomeUnfit ends the taking.
func (p *Pilot) becomeUnfit(bad []NodeFinding, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fit.hold == "" {
		p.log.Warn("slots held: the node is not fit", slog.Time("until", until), slog.String("reason", summary(bad)))
	}
	p.fit.hold = fmt.Sprintf("held until %s: %s", until.UTC().Format("15:04:05"), summary(bad))
	if p.fit.end != nil {
		p.fit.end()
	}
	p.tellSoon()
}

// fitToTake waits until the node is fit, and returns a context that ends when it no longer is; nil when take has ended. Before it
// waits it calls before: nothing is subscribed meanwhile.
func (p *Pilot) fitToTake(take context.Context, before func()) (while context.Context) {
	waiting := false
	defer func() {
		if waiting {
			p.resting(-1)
		}
	}()
	for {
		p.mu.Lock()
		while, changed, held := p.fit.while, p.fit.changed, p.fit.hold != ""
		p.mu.Unlock()
		if while != nil && while.Err() == nil {
			return while
		}
		before()
		if held && !waiting {
			waiting = true
			p.resting(1)
		}
		select {
		case <-changed:
		case <-take.Done():
			return nil
		}
	}
}

// nodeUnfit is why the pilot leaves a bad node.
func nodeUnfit(bad []NodeFinding, hold time.Duration) error {
	err := exitcode.New(exitcode.NodeUnfit, "the node was not fit for %s: %s", hold, summary(bad))
	if bad[0].Next == "" {
		return err
	}
	return exitcode.WithNext(err, bad[0].Next)
}

func summary(bad []NodeFinding) string {
	texts := make([]string, len(bad))
	for i, f := range bad {
		texts[i] = f.Test + ": " + f.Found
	}
	return strings.Join(texts, "; ")
}
