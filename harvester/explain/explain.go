// Package explain says in sentences why pilots are submitted or not, and why one of them is in its state: what `harvester explain` prints.
package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/words"
)

// Report says why pilots are submitted, or not.
func Report(r harvester.Report, now time.Time) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, t := range r.Trouble {
		text := fmt.Sprintf("Trouble with %s for %s: %s.", t.Whom, now.Sub(t.Since).Round(time.Second), strings.TrimSuffix(t.Text, "."))
		if t.Next != "" {
			text += " Next: " + t.Next + "."
		}
		out = append(out, text)
	}
	for _, run := range r.Runs {
		name := "Run " + run.RunID
		if run.RunID == "" {
			name = "Whatever run there is"
		}
		if run.Namespace != "" {
			name += " (" + run.Namespace + ")"
		}
		alive := 0
		for _, n := range run.Alive {
			alive += n
		}
		switch {
		case run.Demanded && run.Wanted == 0 && alive == 0: // it is over
		case run.Demanded:
			say("%s wants %d and has %d%s.", name, run.Wanted, alive, states(run.Alive))
		default:
			say("%s wants no pilots any more and has %d%s: what runs is let finish, what waits is cancelled.", name, alive, states(run.Alive))
		}
	}
	if len(out) == 0 {
		say("No run wants pilots.")
	}
	for _, why := range r.Why {
		say("Not submitted: %s.", why)
	}
	if now.Before(r.Pause.Until) {
		say("The pause after the failures ends in %s.", r.Pause.Until.Sub(now).Round(time.Second))
	}
	for _, n := range r.Excluded {
		say("Node %s is kept away from until %s, because %d workers in a row failed there, the last with: %s.", n.Node, n.Until.Format(time.DateTime), n.Failures, n.Why)
	}
	if r.Strays > 0 {
		say("%s of ours in the batch system, of which the store knows nothing: `harvester adopt` takes them in.", words.Counted(r.Strays, "job is", "jobs are"))
	}
	return out
}

// states is how many there are in each state, in words.
func states(alive map[harvester.State]int) string {
	var parts []string
	for _, s := range []harvester.State{
		harvester.Intended, harvester.Queued, harvester.Held, harvester.Running, harvester.Suspended, harvester.Ending, harvester.Unknown,
	} {
		if n := alive[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// Worker says why a worker is in its state, and what may be done.
func Worker(w harvester.Worker, now time.Time) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	since := now.Sub(w.ChangedAt).Round(time.Second)
	switch w.State {
	case harvester.Intended:
		say("Its submission got no answer yet: it is looked for in the batch system by its tag %s.", w.Tag)
	case harvester.Queued:
		say("It waits in the batch system for %s.", since)
	case harvester.Held:
		say("The batch system holds it for %s; nothing happens until it is released, or cancelled after held_limit.", since)
	case harvester.Running:
		say("It runs on %s for %s.", cmp.Or(w.Node, "a node that the batch system does not tell"), since)
	case harvester.Suspended:
		say("The batch system has suspended it for %s; it counts as alive.", since)
	case harvester.Ending:
		say("It is ending for %s.", since)
	case harvester.Unknown:
		say("The batch system says %q, which is not known here; it counts as alive.", w.Native)
	case harvester.Missing:
		if w.BatchID == "" {
			say("It never came to the batch system.")
		} else {
			say("The batch system does not know it.")
		}
	case harvester.Ended:
		say("It ended after %s on %s.", w.Lived(now).Round(time.Second), cmp.Or(w.Node, "a node that the batch system does not tell"))
	}
	if w.Starts > 1 {
		say("It was started %d times: the batch system had put it back.", w.Starts)
	}
	if w.Misses > 0 && w.State.Live() {
		say("It has not been listed for %s; it is not given up before several listings, lost_after and the history have been asked.", now.Sub(w.MissedAt).Round(time.Second))
	}
	if w.Reason != "" {
		say("Reason: %s.", strings.TrimSuffix(w.Reason, "."))
	}
	if w.Signal != 0 {
		say("Signal %d ended it.", w.Signal)
	}
	if c := w.Cancel; c != nil {
		say("The harvester cancelled it %s ago: %s.", now.Sub(c.At).Round(time.Second), c.Why)
	}
	table := exitcode.Table()
	if i := slices.IndexFunc(table, func(f exitcode.Failure) bool { return f.Name == w.Cause }); i >= 0 && w.Cause != exitcode.OK.Name {
		say("Cause %s (known from: %s): %s.", w.Cause, w.CauseFrom, table[i].Text)
		if table[i].Next != "" {
			say("Next: %s.", table[i].Next)
		}
	} else if !w.State.Live() && w.Cause == "" && w.Cancel == nil {
		say("Nobody has told why: neither the batch system nor the pilot itself. Look at the end of its log.")
	}
	if l := w.LastWords; l != nil {
		say("Its last words: %s, %d slices done, %d failed, %d given back.", cmp.Or(l.Exit.Name, "none"), l.Totals.Done, l.Totals.Failed, l.Totals.Released)
	}
	return out
}
