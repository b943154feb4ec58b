// Package scaler takes snapshots of a ledger for internal/demand, and keeps what its policy remembers.
//
// A [Scaler] is asked with the runs and the workers as they are ([Scaler.Decide]), now and then and by whoever wants to know. From one
// look to the next it measures what has changed: slices that came, what those that were done took. None of that is stored: after a
// restart what a run's slices took is in its sums, the workers that there are count as wanted, and rates are known after some seconds.
//
// Workers that are too many are chosen here, and told to leave in the answer to their report ([Scaler.Leaves]): they finish what they
// hold. No goroutines.
package scaler
