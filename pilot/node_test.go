package pilot_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/fitness"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

// node is one whose disk can break.
type node struct {
	tests  atomic.Int32
	calm   atomic.Bool // what the last test was told
	opened atomic.Int32
	openAs error

	mu     sync.Mutex
	broken bool
	gate   chan struct{} // tests wait for it when it is not nil
}

func (n *node) Test(ctx context.Context, calm bool) []fitness.Finding {
	n.mu.Lock()
	broken, gate := n.broken, n.gate
	n.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil
		}
	}
	n.calm.Store(calm)
	n.tests.Add(1)
	f := []fitness.Finding{{Test: "disk", Verdict: fitness.OK, Found: "room"}, {Test: "clock", Verdict: fitness.Warning, Found: "2m0s ahead"}}
	if broken {
		f[0] = fitness.Finding{Test: "disk", Verdict: fitness.Bad, Found: "no room", Next: "make some"}
	}
	return f
}

func (n *node) open() error {
	n.opened.Add(1)
	return n.openAs
}

func (n *node) breaks(broken bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = broken
}

// often has a node tested all the time.
func often(hold time.Duration) pilot.Config {
	return pilot.Config{Run: run, NodeEvery: time.Millisecond, NodeHold: hold}
}

func TestNoSliceIsTakenBeforeTheNodeIsKnownToBeFit(t *testing.T) {
	t.Parallel()
	r, idds, n := newRig(t), &reporter{}, &node{gate: make(chan struct{})}
	r.node = n
	r.publish(slice("a", 1))
	r.pilot(pilot.Config{Run: run}, nil, idds)
	await(t, "a report on a connection", func() bool { return idds.last().LinkProven })
	if q := r.queue(); q.Consumers != 0 || n.opened.Load() != 0 {
		t.Errorf("%d consumers, disks opened %d times, before the node was tested", q.Consumers, n.opened.Load())
	}
	close(n.gate)
	r.next()
	if n.opened.Load() != 1 {
		t.Errorf("disks opened %d times", n.opened.Load())
	}
}

func TestAPilotOnAnUnfitNodeTakesNothingSaysWhyAndLeavesAfterTheHold(t *testing.T) {
	t.Parallel()
	r, idds, n := newRig(t), &reporter{}, &node{}
	r.node = n
	n.breaks(true)
	r.publish(slice("a", 1))
	err := r.pilot(often(300*time.Millisecond), nil, idds).wait()
	if exitcode.From(err) != exitcode.NodeUnfit || !strings.Contains(err.Error(), "disk: no room") || exitcode.Next(err) != "make some" {
		t.Errorf("got %v (%s)", err, exitcode.Next(err))
	}
	if n.tests.Load() < 2 || n.opened.Load() != 0 {
		t.Errorf("tested %d times, disks opened %d times", n.tests.Load(), n.opened.Load())
	}
	if q := r.queue(); q.Depth != 1 || q.Acked != 0 {
		t.Errorf("the slice is not where it was: %+v", q)
	}
	idds.mu.Lock()
	defer idds.mu.Unlock()
	for _, w := range idds.reports {
		if w.Hold == "" {
			continue
		}
		if !strings.Contains(w.Hold, "disk: no room") || !w.IdleSince.IsZero() {
			t.Errorf("idds hears %q, idle since %s", w.Hold, w.IdleSince)
		}
		if last := idds.reports[len(idds.reports)-1]; last.Exit == nil || last.Exit.Code != 35 {
			t.Errorf("last word %+v", last.Exit)
		}
		return
	}
	t.Error("idds was not told of the hold")
}

func TestANodeThatComesGoodIsWorkedOn(t *testing.T) {
	t.Parallel()
	r, idds, n := newRig(t), &reporter{}, &node{}
	r.node = n
	n.breaks(true)
	r.publish(slice("a", 1))
	r.pilot(often(time.Hour/2), nil, idds)
	await(t, "that idds knows", func() bool { return idds.last().Hold != "" })
	n.breaks(false)
	r.next()
	await(t, "that idds knows", func() bool { return idds.last().Hold == "" && idds.last().Phase == document.WorkerRunning })
	if said := r.log.String(); !strings.Contains(said, "node is fit again") || strings.Count(said, `"verdict":"warning"`) != 1 {
		t.Error(said)
	}
}

func TestAPilotWhoseNodeBreaksFinishesWhatRunsAndHolds(t *testing.T) {
	t.Parallel()
	r, idds, n, g := newRig(t), &reporter{}, &node{}, make(gate)
	r.node = n
	r.publish(slice("a", 1))
	w := &runner{do: func(ctx context.Context, s message.Slice) error {
		if s.Content.Identity() == "a" {
			return g.wait(ctx)
		}
		return nil
	}}
	cfg := often(time.Hour)
	cfg.Slots = 2
	p := r.pilot(cfg, w, idds)
	await(t, "the payload", func() bool { return w.count("a") == 1 })
	await(t, "a test beside it", n.calm.Load)
	n.breaks(true)
	await(t, "that idds knows", func() bool { return idds.last().Hold != "" })
	await(t, "the other slot's leave", func() bool { return r.queue().Consumers == 1 })
	close(g)
	if m := r.next(); m.Content.State != message.StateDone || m.Identity() != "a" {
		t.Errorf("%+v", m.Content)
	}
	await(t, "the leave of both", func() bool { return r.queue().Consumers == 0 })
	r.publish(slice("b", 1))
	before := idds.count()
	await(t, "reports of the time after", func() bool { return idds.count() > before+10 })
	if q := r.queue(); q.Depth != 1 || w.count("b") != 0 {
		t.Errorf("it took a slice all the same: %+v", q)
	}
	select {
	case <-p.done:
		t.Errorf("it left: %v", p.err)
	default:
	}
}

func TestDisksThatCannotBeOpenedEndThePilot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.node = &node{openAs: exitcode.Wrap(exitcode.SiteNoSpace, errors.New("no journal"))}
	if err := r.pilot(pilot.Config{Run: run}, nil, nil).wait(); exitcode.From(err) != exitcode.SiteNoSpace {
		t.Errorf("got %v", err)
	}
}
