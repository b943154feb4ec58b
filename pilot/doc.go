// Package pilot is the life of a batch slot: take one slice, run the payload on it, publish the result, acknowledge the slice,
// take the next, until the run ends.
//
// A [Pilot] has one connection and one subscription for each of its slots, so that each slot holds exactly one slice, and more
// only where payloads are quicker than the broker's answers (ahead.go). The cycle of a slot is sacred: journal, run, journal,
// publish with receipt, acknowledge with receipt, drop the journal's entry. Nothing is acknowledged before its result is the
// broker's; what fails because of the site is given back uncounted.
//
// What it needs from others are small interfaces: [Link] (internal/broker), [Runner] (wrapper), [Journal] (pilot/journal),
// [heartbeat.Reporter] (pilot/rest), [fitness.Node] (pilot/nodetest), [slotend.Place] (pilot/slotinfo).
//
// Nothing is taken before the node has been found fit, and nothing while it is not (internal/fitness); no slice is begun that cannot
// be finished before the slot ends (internal/slotend).
//
// Goroutines: one per slot and per slice held ahead, one that reports, one that tests the node, one that listens for the end of
// the run, and those that watch the time; all owned by [Pilot.Run].
package pilot
