// Package simulate compares ways to decide how many workers are wanted, in simulated time.
//
// A [Scenario] is a run: what is taken when, what a slice and the start of a worker take, which nodes are slow, who dies. A seed makes
// it one certain run, the same for all ways to decide. [Run] takes a [Strategy] through it, [Compare] the demand policy, fixed
// numbers of workers and the rule of the Python system. No goroutines, no clock: the same seed gives the same numbers.
package simulate
