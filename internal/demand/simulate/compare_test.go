package simulate_test

import (
	"testing"

	"tfpilot/internal/config"
	"tfpilot/internal/demand"
	"tfpilot/internal/demand/simulate"
)

// asServed is the policy as `idds serve` has it when nobody says otherwise.
func asServed() demand.Policy {
	var p demand.Policy
	config.Defaults(&p)
	return p
}

func TestNoFixedNumberNorThePythonRuleIsAsGoodAndCheaper(t *testing.T) {
	t.Parallel()
	for _, s := range simulate.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, seed := range seeds() {
				c, err := simulate.Compare(t.Context(), s, seed, asServed())
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("seed %d: share %.4f with %.0f worker seconds (%.0f before they were ready), p95 %.1f s, %d changes, %d turns", seed, c.Policy.Share, c.Policy.WorkerSeconds,
					c.Policy.StartSeconds, c.Policy.P95, c.Policy.Changes, c.Policy.Turns)
				if best := c.Cheapest(c.Policy.Share); best != nil {
					t.Logf("  as good: %s with %.3f of that", best.Strategy, best.WorkerSeconds/c.Policy.WorkerSeconds)
				}
				for _, better := range c.Better {
					t.Errorf("seed %d: %s is as good and cheaper", seed, better)
				}
				if c.Reachable && c.Policy.Share < 0.95 {
					t.Errorf("seed %d: %.1f %% of the slices within the goal, where a fixed number reaches 95 %%", seed, 100*c.Policy.Share)
				}
			}
		})
	}
}
