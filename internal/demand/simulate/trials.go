package simulate

import (
	"context"

	"tfpilot/internal/demand"
)

// Trials are a scenario with many seeds: how often the policy keeps what it promises, and by how much it does not.
type Trials struct {
	Scenario string `json:"scenario"`
	Seeds    int    `json:"seeds"`
	// Beaten is how often a fixed number or the rule had a share as high with less than 95 % of the worker seconds; Cheapest is what
	// part of the policy's the cheapest of those had, 1 when there was none.
	Beaten   int     `json:"beaten"`
	Cheapest float64 `json:"cheapest"`
	// Reachable is how often some fixed number had 95 % of the slices within the goal, Below how often the policy had not, all the same.
	Reachable int `json:"reachable"`
	Below     int `json:"below"`
	// Share is that of the slices within the goal on average, Lowest that of the seed with the lowest.
	Share  float64 `json:"share"`
	Lowest float64 `json:"lowest"`
	// Busy is the share of the worker seconds in which a slice was processed, Starts what was spent on starting workers, as a share of them.
	Busy   float64 `json:"busy"`
	Starts float64 `json:"starts"`
	// ChangesPerHour are of the number that is wanted, TurnsPerHour those after which it goes the other way.
	ChangesPerHour float64 `json:"changes_per_hour"`
	TurnsPerHour   float64 `json:"turns_per_hour"`
}

// Try compares all strategies in a scenario with so many seeds, from the first one on, each with numbers of its own when it varies.
// Seen hears of each comparison.
func Try(ctx context.Context, s Scenario, first uint64, seeds int, vary bool, p demand.Policy, seen func(Comparison)) (Trials, error) {
	t := Trials{Scenario: s.Name, Seeds: seeds, Cheapest: 1, Lowest: 1}
	hours, work := 0.0, 0.0
	for seed := first; seed < first+uint64(seeds); seed++ { //nolint:gosec // a number of seeds is small
		one := s
		if vary {
			one = s.Varied(seed)
		}
		c, err := Compare(ctx, one, seed, p)
		if err != nil {
			return t, err
		}
		if len(c.Better) > 0 {
			t.Beaten++
			t.Cheapest = min(t.Cheapest, c.cheapestBetter())
		}
		if c.Reachable {
			t.Reachable++
			if c.Policy.Share < good {
				t.Below++
			}
		}
		r := c.Policy
		t.Share += r.Share / float64(seeds)
		t.Lowest = min(t.Lowest, r.Share)
		t.Busy += r.Busy / float64(seeds)
		t.Starts += r.StartSeconds
		work += r.WorkerSeconds
		t.ChangesPerHour += float64(r.Changes)
		t.TurnsPerHour += float64(r.Turns)
		hours += one.Beam.Hours()
		seen(c)
	}
	t.Starts /= max(1, work)
	t.ChangesPerHour, t.TurnsPerHour = t.ChangesPerHour/hours, t.TurnsPerHour/hours
	return t, nil
}

// cheapestBetter is what part of the policy's worker seconds the cheapest strategy took that is as good.
func (c Comparison) cheapestBetter() float64 {
	least := 1.0
	for _, r := range append([]Result{c.Rule}, c.Fixed...) {
		if r.Share >= c.Policy.Share {
			least = min(least, r.WorkerSeconds/c.Policy.WorkerSeconds)
		}
	}
	return least
}
