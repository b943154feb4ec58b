// Package intake takes what comes to a destination in batches: they are gathered, handled, and only then acknowledged. It knows
// whether more is waiting than is in hand ([Backlog]), and goes on taking what is ours behind messages of others, which it must leave
// alone.
//
// Goroutines: two for each subscription, owned by [Intake.Run].
package intake
