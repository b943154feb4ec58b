package demand_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tfpilot/internal/config"
	"tfpilot/internal/demand"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// asServed is the policy as `idds serve` has it when nobody says otherwise.
func asServed() demand.Policy {
	var p demand.Policy
	config.Defaults(&p)
	return p
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// running is a run at work: two slices a second of 8 s on 17 workers.
func running() demand.Run {
	return demand.Run{
		Namespace: "test", ID: "1", State: document.RunOpen, Request: demand.Request{Workers: 17}, Announced: -1,
		Arrived:    demand.Arrived{Any: true, PerSecond: 2, Spread: 0.05, LastAt: noon},
		Processing: demand.Took{N: 100, Mean: 8 * time.Second, Median: 7 * time.Second, High: 12 * time.Second},
		Startup:    demand.Took{N: 17, Mean: 20 * time.Second, Median: 20 * time.Second, High: 30 * time.Second},
		Running:    16, Workers: []demand.Workers{{Site: "here", Ready: 17, Slots: 17}}, Before: demand.Memory{Wanted: 17},
	}
}

func decide(p demand.Policy, now time.Time, r demand.Run) demand.Decision {
	return p.Decide(demand.Snapshot{Now: now, Runs: []demand.Run{r}})[0]
}

// follow decides every five seconds for a while, and returns how often the number changed, and the last decision.
func follow(p demand.Policy, r demand.Run, from time.Time, long time.Duration, change func(r *demand.Run, now time.Time)) (changes int, d demand.Decision) {
	d.Wanted = r.Before.Wanted
	for now := from; now.Before(from.Add(long)); now = now.Add(5 * time.Second) {
		r.Arrived.LastAt = now
		if change != nil {
			change(&r, now)
		}
		before := d.Wanted
		d = decide(p, now, r)
		if d.Wanted != before {
			changes++
		}
		r.Before = d.Memory
	}
	return changes, d
}

func TestARunGetsWhatItAskedForBeforeItsFirstSlice(t *testing.T) {
	t.Parallel()
	r := demand.Run{Namespace: "test", ID: "1", State: document.RunOpen, Request: demand.Request{Workers: 12}, Announced: -1}
	if d := decide(asServed(), noon, r); d.Wanted != 12 || !strings.Contains(strings.Join(d.Reasons, " "), "asked for 12 workers") {
		t.Errorf("%d wanted: %q", d.Wanted, d.Reasons)
	}
	r.Request.Workers = 0
	if d := decide(asServed(), noon, r); d.Wanted != 0 {
		t.Errorf("%d wanted by a run for which nobody asked for any: %q", d.Wanted, d.Reasons)
	}
}

func TestARunThatIsOverWantsNobody(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *demand.Run){
		"closed":    func(r *demand.Run) { r.State, r.Waiting = document.RunClosed, 5 },
		"all final": func(r *demand.Run) { r.State, r.Waiting, r.Running, r.Announced = document.RunEnding, 0, 0, 0 },
		"task closed": func(r *demand.Run) {
			r.Request = demand.Request{Workers: 3, Fixed: true, Closed: true}
			r.Waiting, r.Running = 0, 0
		},
	} {
		r := running()
		change(&r)
		if d := decide(asServed(), noon, r); d.Wanted != 0 || len(d.Reasons) != 1 {
			t.Errorf("%s: %d wanted: %q", name, d.Wanted, d.Reasons)
		}
	}
}

func TestAFixedRequestIsObeyed(t *testing.T) {
	t.Parallel()
	r := running()
	r.Request, r.Waiting = demand.Request{Workers: 5, Fixed: true}, 1000
	if d := decide(asServed(), noon, r); d.Wanted != 5 {
		t.Errorf("%d wanted: %q", d.Wanted, d.Reasons)
	}
}

func TestAQueueThatTakesTooLongGetsMore(t *testing.T) {
	t.Parallel()
	r := running()
	r.Waiting = 60 // 28 s of 17 workers, where 18 s are left for waiting
	first := decide(asServed(), noon, r)
	if first.Wanted != 17 {
		t.Errorf("%d wanted at the first sight of it, before ramp_up", first.Wanted)
	}
	r.Before = first.Memory
	if d := decide(asServed(), noon.Add(10*time.Second), r); d.Wanted <= 17 {
		t.Errorf("%d wanted: %q", d.Wanted, d.Reasons)
	}
}

func TestFewerAreWantedOnlyAfterAWhile(t *testing.T) {
	t.Parallel()
	r := running()
	r.Arrived.PerSecond = 1
	if _, d := follow(asServed(), r, noon, 25*time.Second, nil); d.Wanted != 17 {
		t.Errorf("%d wanted before ramp_down: %q", d.Wanted, d.Reasons)
	}
	if changes, d := follow(asServed(), r, noon, 10*time.Minute, nil); d.Wanted > 9 || changes != 1 {
		t.Errorf("%d wanted after %d changes: %q", d.Wanted, changes, d.Reasons)
	}
}

func TestItSaysWhyAndNothingThatIsNotSo(t *testing.T) {
	t.Parallel()
	const stay, fewer, guess, full = "as before: that is enough", " would be enough now; fewer are wanted once", "Until 5 slices are done", "no site has room"
	here := func(most int) []demand.Site { return []demand.Site{{Name: "here", Max: most}} }
	for name, c := range map[string]struct {
		change func(r *demand.Run)
		sites  []demand.Site
		says   []string
	}{
		"enough":                      {func(r *demand.Run) { r.Arrived.PerSecond = 2.1 }, here(0), []string{stay}},
		"more than enough":            {nil, here(17), []string{stay, fewer}},
		"the first slices":            {func(r *demand.Run) { r.Processing.N = 4 }, nil, []string{stay, guess}},
		"as many as make it no guess": {func(r *demand.Run) { r.Processing.N = 5 }, nil, []string{stay, fewer}},
		"a site that is too small":    {nil, here(16), []string{stay, fewer}},
	} {
		r := running()
		if c.change != nil {
			c.change(&r)
		}
		d := asServed().Decide(demand.Snapshot{Now: noon, Runs: []demand.Run{r}, Sites: c.sites})[0]
		text := strings.Join(d.Reasons, " ")
		for _, words := range []string{stay, fewer, guess, full} {
			if want := slices.Contains(c.says, words); strings.Contains(text, words) != want {
				t.Errorf("%s: says %q: %v, want %v: %q", name, words, !want, want, d.Reasons)
			}
		}
	}
}

func TestWhatIsBeyondTheGoalIsMendedSoonerThanWhatMayBe(t *testing.T) {
	t.Parallel()
	p := asServed()
	p.RampUp = 0
	last := 0
	for _, waiting := range []int{0, 20, 40, 80} { // 0, 10, 20 and 40 s of 17 workers, where 18 s are left
		r := running()
		r.Waiting = waiting
		d := decide(p, noon, r)
		if d.Wanted < last || waiting <= 20 && d.Wanted != 17 || waiting >= 40 && d.Wanted <= last {
			t.Errorf("%d wanted with %d waiting, %d with fewer: %q", d.Wanted, waiting, last, d.Reasons)
		}
		last = d.Wanted
	}
}

func TestASlowStartLeavesMoreToChance(t *testing.T) {
	t.Parallel()
	p := asServed()
	p.RampUp = 0
	r := running()
	r.Waiting, r.Arrived.PerSecond = 15, 17./8
	quick := decide(p, noon, r)
	r.Startup.Median = 5 * time.Minute
	if slow := decide(p, noon, r); quick.Wanted != 17 || slow.Wanted <= 17 {
		t.Errorf("%d wanted when a worker takes 20 s, %d when it takes five minutes: %q", quick.Wanted, slow.Wanted, slow.Reasons)
	}
}

func TestADetectorThatStandsByKeepsItsWorkersForAWhile(t *testing.T) {
	t.Parallel()
	stands := func(r *demand.Run, _ time.Time) {
		r.Paused, r.Running = true, 0
		r.Arrived = demand.Arrived{Any: true, LastAt: noon}
	}
	if _, d := follow(asServed(), running(), noon, 290*time.Second, stands); d.Wanted != 17 || !strings.Contains(strings.Join(d.Reasons, " "), "stands by") {
		t.Errorf("%d wanted: %q", d.Wanted, d.Reasons)
	}
	if _, d := follow(asServed(), running(), noon, 20*time.Minute, stands); d.Wanted != 1 {
		t.Errorf("%d wanted long after: %q", d.Wanted, d.Reasons)
	}
}

func TestAProducerThatIsGoneKeepsNobodyForGood(t *testing.T) {
	t.Parallel()
	p := asServed()
	announced := demand.Run{Namespace: "test", ID: "1", State: document.RunOpen, Since: noon, Request: demand.Request{Workers: 12}, Announced: -1}
	silent := running()
	silent.Since, silent.Running, silent.Arrived = noon.Add(-time.Hour), 0, demand.Arrived{Any: true, LastAt: noon}
	for name, of := range map[string]struct {
		run  demand.Run
		just int // before it is given up
	}{"announced, and no slice": {announced, 12}, "no slice any more": {silent, 17}} {
		if d := decide(p, noon.Add(p.GiveUp-time.Second), of.run); d.Wanted != of.just {
			t.Errorf("%s: %d wanted: %q", name, d.Wanted, d.Reasons)
		}
		d := decide(p, noon.Add(p.GiveUp), of.run)
		if d.Wanted != 0 || !strings.Contains(d.Reason, "longer than 1 h,") {
			t.Errorf("%s: %d wanted: %q", name, d.Wanted, d.Reasons)
		}
		again := of.run
		again.Before, again.Waiting = d.Memory, 1
		if d := decide(p, noon.Add(2*p.GiveUp), again); d.Wanted != of.run.Request.Workers {
			t.Errorf("%s: %d wanted when a slice waits: %q", name, d.Wanted, d.Reasons)
		}
	}
	p.GiveUp = 0
	if d := decide(p, noon.Add(24*time.Hour), announced); d.Wanted != 12 {
		t.Errorf("%d wanted when nobody gives up: %q", d.Wanted, d.Reasons)
	}
}

func TestAConstantLoadDoesNotFlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := running()
		r.Arrived.PerSecond = rapid.Float64Range(0.1, 5).Draw(t, "rate")
		r.Request.Workers = rapid.IntRange(1, 40).Draw(t, "asked")
		r.Before.Wanted = r.Request.Workers
		// Whatever is wanted is there at once, and the queue is what it makes of it.
		queue := 0.0
		last := noon
		have := r.Request.Workers
		change := func(r *demand.Run, now time.Time) {
			if r.Before.Wanted > 0 {
				have = r.Before.Wanted
			}
			served := float64(have) * now.Sub(last).Seconds() / 8
			queue = max(0, queue+r.Arrived.PerSecond*now.Sub(last).Seconds()-served)
			last = now
			r.Waiting, r.Workers[0].Ready, r.Workers[0].Slots = int(queue), have, have
			r.Before.Wanted = have
		}
		// After a while for it to settle it alternates between two numbers at most, and seldom.
		_, d := follow(asServed(), r, noon, 10*time.Minute, change)
		r.Before = d.Memory
		changes, _ := follow(asServed(), r, noon.Add(10*time.Minute), 20*time.Minute, change)
		if changes > 10 {
			t.Errorf("%d changes in twenty minutes", changes)
		}
	})
}

// anyRun is a run in any situation.
func anyRun(t *rapid.T) demand.Run {
	r := running()
	r.State = rapid.SampledFrom([]document.RunState{document.RunOpen, document.RunEnding, document.RunClosed}).Draw(t, "state")
	r.Request.Workers = rapid.IntRange(0, 1000).Draw(t, "asked")
	r.Request.ProcessingTime = time.Duration(rapid.Int64Range(0, math.MaxInt64/4).Draw(t, "guess"))
	r.Arrived.Any = rapid.Bool().Draw(t, "any")
	r.Arrived.PerSecond = rapid.Float64Range(0, 1e6).Draw(t, "rate")
	r.Arrived.Spread = rapid.Float64Range(0, 10).Draw(t, "spread")
	r.Waiting = rapid.IntRange(0, 1_000_000).Draw(t, "waiting")
	r.Running = rapid.IntRange(0, 1000).Draw(t, "running")
	r.Announced = rapid.IntRange(-1, 1000).Draw(t, "announced")
	r.Processing.N = rapid.IntRange(0, 10).Draw(t, "done")
	r.Processing.Mean = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "mean"))
	r.Workers[0].Ready = rapid.IntRange(0, 500).Draw(t, "ready")
	r.Workers[0].Slots = r.Workers[0].Ready * rapid.IntRange(1, 8).Draw(t, "slots")
	r.Before.Wanted = rapid.IntRange(0, 500).Draw(t, "before")
	return r
}

func TestNothingIsEverAboveACeiling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := asServed()
		p.RampUp = 0
		p.MaxRun = rapid.IntRange(0, 50).Draw(t, "max run")
		p.MaxAll = rapid.IntRange(0, 60).Draw(t, "max all")
		s := demand.Snapshot{Now: noon, Sites: []demand.Site{{Name: "here", Max: rapid.IntRange(1, 40).Draw(t, "here"), Cost: 1}, {Name: "there", Max: rapid.IntRange(1, 40).Draw(t, "there"), Cost: 2}}}
		for range 3 {
			s.Runs = append(s.Runs, anyRun(t))
		}
		total, at := 0, map[string]int{}
		for i, d := range p.Decide(s) {
			total += d.Wanted
			if p.MaxRun > 0 && d.Wanted > p.MaxRun || p.MaxRun == 0 && d.Wanted > 2*s.Runs[i].Request.Workers || d.Wanted < 0 {
				t.Errorf("%d for a run", d.Wanted)
			}
			if s.Runs[i].State == document.RunClosed && d.Wanted != 0 {
				t.Errorf("%d for a closed run", d.Wanted)
			}
			sum := 0
			for _, share := range d.Sites {
				sum += share.Wanted
				at[share.Site] += share.Wanted
			}
			if sum != d.Wanted || len(d.Reasons) == 0 {
				t.Errorf("sites have %d of %d, because %q", sum, d.Wanted, d.Reasons)
			}
		}
		if p.MaxAll > 0 && total > p.MaxAll {
			t.Errorf("%d for all runs", total)
		}
		for _, site := range s.Sites {
			if at[site.Name] > site.Max {
				t.Errorf("%d at %s, which has room for %d", at[site.Name], site.Name, site.Max)
			}
		}
	})
}

func TestARequestBeyondAllReasonIsWithinACeilingToo(t *testing.T) {
	t.Parallel()
	for _, asked := range []int{message.MostWorkers + 1, math.MaxInt/2 + 1, math.MaxInt} {
		r := running()
		r.Request.Workers, r.Processing.N = asked, 0
		if d := decide(asServed(), noon, r); d.Wanted < 0 || d.Wanted > 2*message.MostWorkers {
			t.Errorf("%d asked for, %d wanted: %q", asked, d.Wanted, d.Reasons)
		}
		r.Arrived.Any = false
		if d := decide(asServed(), noon, r); d.Wanted < 0 || d.Wanted > 2*message.MostWorkers {
			t.Errorf("%d asked for, %d wanted before the first slice: %q", asked, d.Wanted, d.Reasons)
		}
	}
}

func TestALongerQueueNeverWantsFewer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := asServed()
		p.RampUp = 0
		short := anyRun(t)
		long := short
		long.Waiting += rapid.IntRange(1, 1000).Draw(t, "more")
		if a, b := decide(p, noon, short), decide(p, noon, long); a.Wanted > b.Wanted {
			t.Errorf("%d with %d waiting (%q), %d with %d (%q)", a.Wanted, short.Waiting, a.Reasons, b.Wanted, long.Waiting, b.Reasons)
		}
	})
}

func TestTheCheapestSiteIsAskedFirstAndNobodyIsMoved(t *testing.T) {
	t.Parallel()
	r := running()
	r.Workers = []demand.Workers{{Site: "dear", Ready: 10, Slots: 10}}
	r.Before = demand.Memory{}
	r.Request.Workers, r.Arrived = 17, demand.Arrived{}
	s := demand.Snapshot{Now: noon, Runs: []demand.Run{r}, Sites: []demand.Site{{Name: "dear", Max: 100, Cost: 3}, {Name: "cheap", Max: 5, Cost: 1}, {Name: "other", Cost: 2}}}
	got := map[string]int{}
	for _, share := range asServed().Decide(s)[0].Sites {
		got[share.Site] = share.Wanted
	}
	if got["dear"] != 10 || got["cheap"] != 5 || got["other"] != 2 {
		t.Errorf("%v", got)
	}
}

func TestAPolicyThatCannotBeIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	err := demand.Policy{Costs: []string{"here=0", "there"}}.Validate()
	for _, word := range []string{"--demand-goal", `"here=0"`, `"there"`} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not tell of %s", err, word)
		}
	}
	if err := asServed().Validate(); err != nil {
		t.Error(err)
	}
}
