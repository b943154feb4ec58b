// Package idds follows every slice to its one final state, decides what is sent again, closes runs, and says how many workers
// are wanted.
//
// [Ledger] is the law (accounting): pure decisions on a [Slice], made inside a transaction of a [Store]. [Service] feeds it
// from the broker (a copy of every slice and every result) and from the pilots' reports, acknowledges messages only after the
// store has committed, and does what time brings: another attempt, the closing of a run. The REST interface is idds/api.
//
// Goroutines: one per subscription and one for time, all owned by Service.Run.
package idds
