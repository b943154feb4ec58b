// Package harvester keeps the wanted number of pilots alive.
//
// A [Harvester] is a reconcile loop: idds says how many workers each run wants ([Demand]), the batch system says which of ours
// it has ([BatchSystem]), and what is missing is submitted. Nothing is assumed: a worker's row is in the store before the batch
// system hears of it, with a tag that finds it again, so that a crash between the two leaves nothing unknown.
//
// What it needs from others are small interfaces: [Demand] (harvester/rest), [BatchSystem] (harvester/local), [Store]
// (harvester/sqlite). One goroutine, that of [Harvester.Run].
package harvester
