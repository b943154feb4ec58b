// Package guard spares a batch system. A [Batch] stands before a harvester.BatchSystem, and is one: commands of one kind have a minimum
// interval, with jitter, so that many submitters do not beat in time; after several in a row that failed none is tried for a pause,
// which doubles as long as they fail.
//
// Submissions are not paused here: the harvester's own back-off does that, which also knows what became of the pilots. cmd/harvester
// puts the guard between the two. No goroutines; it may be used by several.
package guard
