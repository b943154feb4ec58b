// Package recent keeps in memory what was said lately: the log lines of programs and the messages that idds has seen.
//
// A [Memory] has a shelf of each kind for each namespace, and on a shelf a drawer for each program, or each kind of message. A drawer
// holds so many and no more, a shelf so many bytes: who floods his own drawer takes nothing from the others, and what went wrong has
// drawers of its own, in which it lies longer than the rest. To put something in costs a lock and a slot: texts are looked at, and
// secrets masked, when somebody reads them.
//
// Nothing of it outlives the process; a [document.RecentPage] says since when there is something to be known.
package recent
