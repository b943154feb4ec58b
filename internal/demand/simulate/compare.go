package simulate

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"tfpilot/internal/demand"
)

const (
	// cheaper is how much fewer worker seconds are as good and cheaper, and not the same.
	cheaper = 0.95
	// good is the share of slices within the goal that is to be reached wherever a fixed number reaches it.
	good = 0.95
)

// Comparison is a scenario taken by every strategy.
type Comparison struct {
	Scenario string `json:"scenario"`
	About    string `json:"about"`
	Seed     uint64 `json:"seed"`
	// Need is how many workers the load keeps busy where it is largest; fixed numbers are tried from 1 to twice that.
	Need   int      `json:"need"`
	Policy Result   `json:"policy"`
	Rule   Result   `json:"rule"`
	Fixed  []Result `json:"fixed"`
	// Better are those that have a share as high as the policy's with fewer than 95 % of its worker seconds: there is to be none.
	Better []string `json:"better"`
	// Reachable says that some fixed number has 95 % of the slices within the goal.
	Reachable bool `json:"reachable"`
}

// OK reports whether the policy keeps what it promises.
func (c Comparison) OK() bool { return len(c.Better) == 0 && (c.Policy.Share >= good || !c.Reachable) }

// Compare takes all strategies through a scenario. The policy may have no more workers than the largest fixed number.
func Compare(ctx context.Context, s Scenario, seed uint64, p demand.Policy) (Comparison, error) {
	c := Comparison{Scenario: s.Name, About: s.About, Seed: seed, Need: s.Need(), Better: []string{}}
	p.MaxRun = 2 * c.Need
	c.Fixed = make([]Result, 2*c.Need)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	run := func(into *Result, strategy func() Strategy) {
		g.Go(func() (err error) {
			*into, err = Run(ctx, s, seed, strategy(), p.Goal)
			return err
		})
	}
	run(&c.Policy, func() Strategy { return Follow(p) })
	run(&c.Rule, PythonRule)
	for i := range c.Fixed {
		run(&c.Fixed[i], func() Strategy { return Fixed(i + 1) })
	}
	if err := g.Wait(); err != nil {
		return c, err
	}
	for _, other := range append([]Result{c.Rule}, c.Fixed...) {
		c.Reachable = c.Reachable || other.Strategy != c.Rule.Strategy && other.Share >= good
		if other.Share >= c.Policy.Share && other.WorkerSeconds < cheaper*c.Policy.WorkerSeconds {
			c.Better = append(c.Better, other.Strategy)
		}
	}
	return c, nil
}

// Cheapest is the fixed number with the fewest worker seconds that has a share as high, nil when none has.
func (c Comparison) Cheapest(share float64) *Result {
	var best *Result
	for i := range c.Fixed {
		if f := &c.Fixed[i]; f.Share >= share && (best == nil || f.WorkerSeconds < best.WorkerSeconds) {
			best = f
		}
	}
	return best
}
