// Package idds follows every slice to its one final state, decides what is sent again, closes runs, and says how many workers
// are wanted.
//
// [Service] feeds the rules of internal/ledger from the broker (a copy of every slice and every result) and from the pilots'
// reports, acknowledges messages only after the store has committed, and does what time brings: another attempt, the closing of a
// run. What it tells of all that are its [books.Books]. The REST interface is idds/api.
//
// Goroutines: a few per subscription and one for each kind of work that time brings, all owned by Service.Run.
package idds
