// Package live is what watchers see of idds as it happens: the board of each namespace, made once for all who look at it, a few times
// a second while something changes, and not at all while nobody looks.
//
// A [Feed] hears of every transaction of the store (Hear, by [commits.Watch]) and keeps in memory what a board is made of: the runs on
// it with their times from data taken to result, and the workers that live. It asks the store for what was there before it began, once
// and only when somebody looks; no board looks at slices, so that a million of them cost it nothing.
//
// Run owns the one goroutine that makes boards. Whoever follows ([Feed.Follow]) gets the latest when he is ready for it, never a queue of
// what he has missed.
package live
