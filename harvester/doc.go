// Package harvester keeps the wanted number of pilots alive.
//
// A [Harvester] is a reconcile loop: idds says how many workers each run wants ([Demand]), the batch system says which of ours
// it has ([BatchSystem], which harvester/guard spares), and what is missing is submitted. Nothing is assumed: a worker's row is
// in the store before the batch system hears of it, with a tag that finds it again, so that a crash between the two leaves nothing
// unknown.
//
// A look has three steps. What the listing says is taken into the book (book.go): a job that is not listed is given up only by
// age, after several listings, and when the second source does not know it either. What to do follows from a snapshot alone
// (plan.go), and so do the pause after failures and the nodes to keep away from (backoff.go). Then at most one submission and one
// cancelling are sent, and a [Report] is left in the store for whoever asks.
//
// Only our own clock decides: times that a batch system tells may be an hour off, and are compared with each other alone.
//
// What it needs from others are small interfaces: [Demand] (harvester/rest), [BatchSystem] (harvester/local), [Store]
// (harvester/sqlite). One goroutine, that of [Harvester.Run].
package harvester
