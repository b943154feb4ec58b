// Package fitness decides whether a node is fit to take slices: its tests are run before the first slice and then now and again, and
// nothing is taken while one of them is bad.
//
// What the tests are is not its own: they are a [Node] (pilot/nodetest), and what they find are [Finding]s. A [Gate] runs them, says
// what is news in the log, and holds everybody who asks it while the node is unfit. A node that stays so for the hold is left.
//
// Goroutines: none of its own; [Gate.Watch] is run by the owner of the slots, who ask with [Gate.State].
package fitness
