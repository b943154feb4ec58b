//go:build !race

package simulate_test

import (
	"testing"

	"tfpilot/internal/demand/simulate"
)

// The policy was made with the seeds below 1000, and is held to others. With numbers of the scenarios that are drawn it cannot win
// always: who knows how long the beam will be, or that it takes half the time of the run to start a worker, does better.
func TestThatIsNoChanceOfTheNumbersOfAScenario(t *testing.T) {
	t.Parallel()
	tried, beaten, reachable, below := 0, 0, 0, 0
	for _, s := range simulate.Scenarios() {
		trials, err := simulate.Try(t.Context(), s, 1001, 3, true, asServed(), func(c simulate.Comparison) {
			t.Logf("%s seed %d: share %.4f, busy %.2f, better: %v", c.Scenario, c.Seed, c.Policy.Share, c.Policy.Busy, c.Better)
		})
		if err != nil {
			t.Fatal(err)
		}
		tried, beaten, reachable, below = tried+trials.Seeds, beaten+trials.Beaten, reachable+trials.Reachable, below+trials.Below
	}
	t.Logf("%d of %d beaten, %d of %d below", beaten, tried, below, reachable)
	// So it is for these seeds, which give the same runs everywhere: a change of the policy that makes it worse has to say so here.
	if beaten > 1 || below > 2 {
		t.Errorf("in %d of %d runs another was as good and cheaper, where it was in 1; in %d of %d a fixed number alone had 95 %% within the goal, where it was in 2", beaten, tried, below, reachable)
	}
}
