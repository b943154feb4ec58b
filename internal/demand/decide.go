package demand

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

const openState = document.RunOpen

// slack is the share of the workers that may be too many before fewer are wanted, one of them at least.
const slack = 0.05

// Decision is how many workers a run is to have, and why.
type Decision struct {
	Namespace, ID string
	Wanted        int
	// Sites are the parts of the sites that are known, in the order in which they are asked.
	Sites []Share
	// Reasons are sentences. Reason is the one that decides, as it stays while nothing changes.
	Reasons []string
	Reason  string
	Memory  Memory
}

// Share is the part of a site.
type Share struct {
	Site   string
	Wanted int
}

// Decide says how many workers each run of a snapshot is to have.
func (p Policy) Decide(s Snapshot) []Decision {
	out := make([]Decision, len(s.Runs))
	for i := range s.Runs {
		out[i] = p.decide(&s.Runs[i], s.Now)
	}
	p.limit(out, s)
	p.share(out, s)
	return out
}

func (d *Decision) say(format string, args ...any) {
	d.Reasons = append(d.Reasons, fmt.Sprintf(format, args...))
}

// because says the sentence that decides.
func (d *Decision) because(format string, args ...any) {
	d.say(format, args...)
	d.Reason = strings.TrimSuffix(d.Reasons[len(d.Reasons)-1], ".")
}

// decide decides about one run alone.
func (p Policy) decide(r *Run, now time.Time) Decision {
	d := Decision{Namespace: r.Namespace, ID: r.ID, Memory: r.Before}
	switch why := r.over(); {
	case why != "":
		d.Memory = Memory{}
		d.because("%s", why)
		return d
	case r.Request.Fixed:
		d.Wanted = r.Request.Workers
		d.Memory = Memory{Wanted: d.Wanted}
		d.because("The workflow task asks for %s: that many are wanted, no more and no fewer.", count(d.Wanted, "worker"))
		return d
	case r.Request.Workers == 0 && p.MaxRun == 0:
		d.because("Nobody has asked for workers: run_imminent_worker does, or --demand-max-run lets a run have some all the same.")
		return d
	case p.givesUp(r, now):
		d.Memory = Memory{}
		d.because("No slice has come for longer than %s, and none is left: workers are wanted again when one does.", p.GiveUp)
		return d
	}
	o := p.outlook(r)
	if !r.Arrived.Any || o.slice == 0 {
		d.anticipate(r, o, now)
	} else {
		d.follow(p, r, o, now)
	}
	if ceiling := p.ceiling(r); d.Wanted > ceiling {
		d.Wanted = ceiling
		if p.MaxRun > 0 {
			d.because("It may have no more than --demand-max-run %d.", ceiling)
		} else {
			d.because("It may have no more than twice what it asked for, %d: --demand-max-run sets another limit.", ceiling)
		}
	}
	d.Memory.Wanted = d.Wanted
	return d
}

// over says why a run needs nobody any more; nothing when it does.
func (r *Run) over() string {
	left := r.Waiting + r.Running
	switch {
	case r.State == document.RunClosed:
		return "The run is closed."
	case r.State == document.RunEnding && left == 0 && r.Announced <= 0:
		return "The run has ended and all its slices are final."
	case r.Request.Closed && left == 0:
		return "The workflow task is closed and all slices are final."
	case r.Request.Fixed && r.Request.Workers == 0:
		return "No " + message.TypeCreateWorkflowTask + " has asked for workers."
	}
	return ""
}

// givesUp reports whether an open run is waited for no longer: a producer that died says nothing, and its workers would be had for good.
func (p Policy) givesUp(r *Run, now time.Time) bool {
	last := r.Since
	if r.Arrived.LastAt.After(last) {
		last = r.Arrived.LastAt
	}
	return p.GiveUp > 0 && r.State == openState && r.Waiting+r.Running == 0 && !last.IsZero() && now.Sub(last) >= p.GiveUp
}

// ceiling is how many workers a run may have.
func (p Policy) ceiling(r *Run) int {
	if p.MaxRun > 0 {
		return p.MaxRun
	}
	return 2 * min(r.Request.Workers, message.MostWorkers)
}

// anticipate is for a run of which nothing is known but what it asked for.
func (d *Decision) anticipate(r *Run, o outlook, now time.Time) {
	d.Wanted = max(1, r.Request.Workers, r.Before.Wanted)
	d.remember(float64(d.Wanted), o, now)
	d.say("The run asked for %s.", count(r.Request.Workers, "worker"))
	if r.Arrived.Any {
		d.because("Slices come, and none is done: nobody knows yet what one takes, so as many are wanted as it asked for.")
	} else {
		d.because("No slice has come yet: they are to be ready when the first does.")
	}
}

// follow is for a run whose slices come.
func (d *Decision) follow(p Policy, r *Run, o outlook, now time.Time) {
	wanted := r.Before.Wanted
	if len(r.Before.Needs) == 0 { // nothing is remembered, as after a restart: what there is has its time, too, and will report again
		wanted = max(wanted, alive(r.Workers)+lost(r.Workers), r.Request.Workers)
		d.remember(float64(wanted), o, now)
	}
	need, stay := p.need(o, wanted)
	d.describe(p, r, o, wanted)
	patience := p.RampUp
	if o.guessed && r.State == openState {
		asked := float64(r.Request.Workers)
		if need = max(need, asked); o.have > 0 { // it will soon be known
			need = asked
		}
		stay, patience = max(stay, need), p.Goal
		d.say("Until %d slices are done as many are wanted as the run asked for, %d; more only while no worker is ready for long.", enough, r.Request.Workers)
	}
	still := now.Sub(r.Arrived.LastAt)
	held := r.State == openState && r.Arrived.PerSecond == 0 && still < p.Hold
	if held {
		stay = max(stay, float64(wanted))
	}
	d.remember(stay, o, now)
	d.Wanted = wanted
	most := d.Memory.most()
	switch up := whole(need); {
	case up > wanted:
		d.grow(up, patience, now)
	case held && wanted > 1:
		d.Memory.More = time.Time{}
		d.because("No slice comes%s: the workers are kept until %s without one have passed.", standby(r), p.Hold)
		d.say("That is so since %s.", rounded(still))
	case most <= float64(wanted)-max(1, slack*float64(wanted)):
		d.Memory.More = time.Time{}
		d.Wanted = whole(most)
		d.because("In the last %s no more than %d were needed: %d fewer are wanted.", rounded(o.rampDown), d.Wanted, wanted-d.Wanted)
	default:
		d.Memory.More = time.Time{}
		d.because("The %d that were wanted do: they stay as they are.", wanted)
		if whole(stay) < wanted {
			d.say("%d would do now; fewer are wanted when that has been so for %s, and makes a difference.", whole(stay), rounded(o.rampDown))
		}
	}
	// At the end of a run nobody is needed who would have no slice, once it is clear what is left.
	left := int(math.Ceil(float64(r.Waiting+r.Running+max(0, r.Announced)) / o.perWorker))
	if r.State != openState && still >= p.Goal && left < d.Wanted {
		d.Wanted = left
		d.because("The run has ended, and %d do for what is left of it.", left)
	}
}

// grow wants more, when that has been so for a while.
func (d *Decision) grow(up int, after time.Duration, now time.Time) {
	if d.Memory.More.IsZero() {
		d.Memory.More = now
	}
	if since := now.Sub(d.Memory.More); since < after {
		d.because("The %d that were wanted do not do: more are wanted when that has been so for %s.", d.Wanted, after)
		d.say("%d are needed, since %s.", up, rounded(since))
		return
	}
	d.because("That is too long, or may be: %d are wanted.", up)
	d.Wanted = up
}

// describe says what is known of a run.
func (d *Decision) describe(p Policy, r *Run, o outlook, wanted int) {
	if o.guessed {
		d.say("%.2f slices come in a second, and one is thought to take %s: that keeps %.1f slots busy.", o.rate, rounded(seconds(o.slice)), o.busy)
	} else {
		d.say("%.2f slices come in a second; one takes %s on average and %s at most, but for one in twenty: that keeps %.1f slots busy.", o.rate,
			rounded(r.Processing.Mean), rounded(r.Processing.High), o.busy)
	}
	d.say("%s, which takes the slots of %s %s; the goal of %s leaves %s for waiting.", are(r.Waiting, "slice", "waits", "wait"),
		ready(r.Workers), rounded(seconds(o.wait(o.queued))), p.Goal, rounded(seconds(o.room)))
	queued := o.ahead(wanted)
	d.say("A worker takes %s to start: by then the queue is expected to take %s, and once in ten times more than %s.", rounded(seconds(o.startup)),
		rounded(seconds(o.wait(queued))), rounded(seconds(o.wait(queued+o.luck(o.startup)))))
	if silent := lost(r.Workers); silent > 0 {
		d.say("%s without a last word: others take their places.", are(silent, "worker", "fell silent", "fell silent"))
	}
}

// remember notes what is needed now, and forgets what was needed long ago.
func (d *Decision) remember(need float64, o outlook, now time.Time) {
	m := &d.Memory
	m.Needs = slices.DeleteFunc(slices.Clone(m.Needs), func(n Need) bool { return now.Sub(n.At) > o.rampDown })
	// Within a part of the time the largest does: it would be remembered for no longer.
	if last := len(m.Needs) - 1; last > 0 && now.Sub(m.Needs[last-1].At) < o.rampDown/32 {
		m.Needs[last] = Need{now, max(need, m.Needs[last].Workers)}
		return
	}
	m.Needs = append(m.Needs, Need{now, need})
}

// most is how many were needed lately at once.
func (m Memory) most() float64 {
	most := 0.0
	for _, n := range m.Needs {
		most = max(most, n.Workers)
	}
	return most
}

// whole is the nearest whole number of workers, one at least: chance is in it already.
func whole(workers float64) int { return int(math.Round(min(max(workers, 1), math.MaxInt32))) }
