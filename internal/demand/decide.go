package demand

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/words"
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
		d.because("Nobody has asked for workers for this run: run_imminent_worker does, or --demand-max-run lets a run have some all the same.")
		return d
	case p.givesUp(r, now):
		d.Memory = Memory{}
		d.because("No slice has come for longer than %s, and none is left: workers are wanted again when one comes.", lasting(p.GiveUp))
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
			d.because("It may have no more than %s, by --demand-max-run.", count(ceiling, "worker"))
		} else {
			d.because("It may have no more than %s, twice what it asked for: --demand-max-run sets another limit.", count(ceiling, "worker"))
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
		d.because("Slices come, and none is done: nobody knows yet what one takes, so as many are wanted as the run asked for.")
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
		d.say("Until %d slices are done as many are wanted as the run asked for, %d; more only when no worker has become ready for %s.", enough, r.Request.Workers,
			lasting(patience))
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
		d.because("%s: the workers are kept until that has been so for %s.", standby(r), lasting(p.Hold))
		if still >= time.Second {
			d.say("By now it has been so for %s.", words.Seconds(still.Seconds()))
		}
	case most <= float64(wanted)-max(1, slack*float64(wanted)):
		d.Memory.More = time.Time{}
		d.Wanted = whole(most)
		d.because("No more than %s been needed in the last %s: that many are wanted, %d fewer than before.", are(d.Wanted, "worker", "has", "have"), lasting(o.rampDown), wanted-d.Wanted)
	default:
		d.Memory.More = time.Time{}
		d.because("%s as before: that is enough.", are(wanted, "worker", "is wanted", "are wanted"))
		if whole(stay) < wanted {
			d.say("%d would be enough now; fewer are wanted once that has been so for %s, and saves at least a worker and 5 %%.", whole(stay), lasting(o.rampDown))
		}
	}
	// At the end of a run nobody is needed who would have no slice, once it is clear what is left.
	left := int(math.Ceil(float64(r.Waiting+r.Running+max(0, r.Announced)) / o.perWorker))
	if r.State != openState && still >= p.Goal && left < d.Wanted {
		d.Wanted = left
		d.because("The run has ended: %s enough for the slices that are left.", are(left, "worker", "is", "are"))
	}
}

// grow wants more, when that has been so for a while.
func (d *Decision) grow(up int, after time.Duration, now time.Time) {
	if d.Memory.More.IsZero() {
		d.Memory.More = now
	}
	if since := now.Sub(d.Memory.More); since < after {
		d.because("%s too few: more are wanted once that has been so for %s.", are(d.Wanted, "worker", "is", "are"), lasting(after))
		d.say("%d are needed now.", up)
		return
	}
	d.because("With fewer, slices would wait too long, or might: %s wanted.", are(up, "worker", "is", "are"))
	d.Wanted = up
}

// describe says what is known of a run.
func (d *Decision) describe(p Policy, r *Run, o outlook, wanted int) {
	switch {
	case o.rate == 0 && o.guessed:
		d.say("A slice is thought to take %s.", words.Seconds(o.slice))
	case o.rate == 0:
	case o.guessed:
		d.say("%s, and one is thought to take %s: that is work for %s.", coming(o.rate), words.Seconds(o.slice), slotsOf(o.busy))
	default:
		d.say("%s. One takes %s on average, and 95 %% of them no more than %s: that is work for %s.", coming(o.rate), words.Seconds(r.Processing.Mean.Seconds()),
			words.Seconds(r.Processing.High.Seconds()), slotsOf(o.busy))
	}
	waiting, goal := are(r.Waiting, "slice", "waits", "wait"), lasting(p.Goal)
	switch n := readyOf(r.Workers); {
	case r.Waiting == 0:
		d.say("No slice waits. The goal of %s leaves a slice %s for that.", goal, words.Seconds(o.room))
	case n == 0:
		d.say("%s, and no worker is ready. The goal of %s leaves %s for waiting.", waiting, goal, words.Seconds(o.room))
	default:
		d.say("%s, which is work of %s for %s. The goal of %s leaves %s for waiting.", waiting, words.Seconds(o.wait(o.queued)), count(n, "ready worker"), goal, words.Seconds(o.room))
	}
	queued := o.ahead(wanted)
	expected, unlucky := o.wait(queued), o.wait(queued+o.luck(o.startup))
	soon := fmt.Sprintf("A worker takes %s to start: by then", words.Seconds(o.startup))
	switch {
	case unlucky < 0.05:
		d.say("%s no slice should wait.", soon)
	case expected < 0.05:
		d.say("%s no slice should wait, and once in ten times some do for more than %s.", soon, words.Seconds(unlucky))
	default:
		d.say("%s slices are expected to wait for %s, and once in ten times for more than %s.", soon, words.Seconds(expected), words.Seconds(unlucky))
	}
	if silent := lost(r.Workers); silent > 0 {
		d.say("%s without a last word: as many others take their place.", are(silent, "worker", "fell silent", "fell silent"))
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
