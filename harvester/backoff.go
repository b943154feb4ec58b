package harvester

import (
	"cmp"
	"slices"
	"time"

	"tfpilot/internal/exitcode"
)

// Pause is why, and until when, nothing is submitted after failures.
type Pause struct {
	// Failures are in a row: submissions that failed and workers that ended too soon.
	Failures int       `json:"failures"`
	Until    time.Time `json:"until,omitzero"`
	Worker   string    `json:"worker,omitempty"` // the last of them
	Why      string    `json:"why,omitempty"`
}

// BadNode is a node on which workers fail that do not fail elsewhere.
type BadNode struct {
	Node     string    `json:"node"`
	Failures int       `json:"failures"` // of different workers in a row
	Until    time.Time `json:"until"`
	Why      string    `json:"why"`
}

// outcome is what an ended worker says about its queue.
type outcome int

const (
	neutral outcome = iota // nothing
	fine                   // a pilot can work there
	failed                 // the next one may fail as well
)

// fineCauses end a worker without a fault of anybody: an empty queue is none, and neither is being told to go.
var fineCauses = []string{exitcode.OK.Name, exitcode.IdleTimeout.Name, exitcode.NoFirstSlice.Name, exitcode.Interrupted.Name, exitcode.Drained.Name}

// outcome judges an ended worker. Whoever worked for a while is fine however it ended: it is replaced at once. One that somebody
// removed is replaced too, but whoever removes does not want to be run against.
func (w Worker) outcome(short time.Duration) outcome {
	switch {
	case w.Cancel != nil && !w.Cancel.Failed:
		return neutral
	case w.Cause == exitcode.Cancelled.Name, w.State == Missing && w.LastWords == nil, w.Cancel != nil:
		return failed
	case slices.Contains(fineCauses, w.Cause), w.Lived(w.ChangedAt) >= short:
		return fine
	default:
		return failed
	}
}

// Failed reports whether an ended worker counts as a failure: one that ended sooner than short, and not because there was no work
// or somebody told it to.
func (w Worker) Failed(short time.Duration) bool {
	return !w.State.Live() && w.outcome(short) == failed
}

// began is when it was started by our own clock, or wanted when it was never started.
func (w Worker) began() time.Time {
	at := w.ChangedAt.Add(-w.Lived(w.ChangedAt))
	if w.Lived(w.ChangedAt) == 0 && w.RunningAt.IsZero() || at.Before(w.IntendedAt) {
		at = w.IntendedAt
	}
	return at
}

// byEnd sorts ended workers in the order in which we noticed their ends.
func byEnd(ended []Worker) []Worker {
	return slices.SortedStableFunc(slices.Values(ended), func(a, b Worker) int {
		return cmp.Or(a.ChangedAt.Compare(b.ChangedAt), a.IntendedAt.Compare(b.IntendedAt))
	})
}

// pauseAfter is the pause that ended workers call for. It bounds how often pilots are started, so it counts from the start of the
// one that failed: who lived longer is replaced at once. And one that was started before the last failure was seen says nothing
// new: a crash takes several together, and so does a submission.
func pauseAfter(ended []Worker, cfg Config) Pause {
	var p Pause
	var seen time.Time
	for _, w := range byEnd(ended) {
		switch w.outcome(cfg.ShortLife) {
		case neutral:
		case fine:
			p = Pause{}
		case failed:
			if !w.began().After(seen) {
				continue
			}
			pause := min(cfg.MaxBackoff, time.Second<<min(p.Failures, 20))
			from := w.began()
			if w.removed() {
				from = w.ChangedAt
			}
			seen = w.ChangedAt
			p = Pause{Failures: p.Failures + 1, Until: from.Add(pause), Worker: w.ID, Why: cmp.Or(w.Reason, w.Cause, string(w.State))}
		}
	}
	return p
}

// removed says that somebody took it out of the batch system.
func (w Worker) removed() bool {
	return w.Cancel == nil && w.BatchID != "" && (w.Cause == exitcode.Cancelled.Name || w.State == Missing)
}

// badNodes are the nodes to keep away from. A node is bad when the last workers there failed, each for a reason that may be the
// node's; never more than half of the nodes that we know: then it is not the nodes.
func badNodes(ended, live []Worker, cfg Config, now time.Time) []BadNode {
	nodes := map[string]*BadNode{}
	for _, w := range live {
		if w.Node != "" {
			nodes[w.Node] = &BadNode{Node: w.Node}
		}
	}
	for _, w := range byEnd(ended) {
		if w.Node == "" {
			continue
		}
		n := nodes[w.Node]
		if n == nil {
			n = &BadNode{Node: w.Node}
			nodes[w.Node] = n
		}
		switch o := w.outcome(cfg.ShortLife); {
		case o == fine:
			n.Failures = 0
		case o == failed && mayBeNode(w.Class) && !w.removed():
			n.Failures++
			n.Why = cmp.Or(w.Reason, w.Cause, string(w.State))
			n.Until = w.ChangedAt.Add(cfg.ExcludeFor << min(max(0, n.Failures-cfg.ExcludeAfter), 4))
		}
	}
	var bad []BadNode
	for _, n := range nodes {
		if n.Failures >= cfg.ExcludeAfter && n.Until.After(now) {
			bad = append(bad, *n)
		}
	}
	slices.SortFunc(bad, func(a, b BadNode) int { return cmp.Or(b.Failures-a.Failures, cmp.Compare(a.Node, b.Node)) })
	return bad[:min(len(bad), len(nodes)/2)]
}

// mayBeNode tells whether a failure of a class may be the fault of a node. A wrong token or configuration fails everywhere.
func mayBeNode(c exitcode.Class) bool {
	return c == "" || c == exitcode.ClassSite || c == exitcode.ClassInfrastructure
}
