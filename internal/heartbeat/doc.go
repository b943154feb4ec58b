// Package heartbeat tells idds how a pilot is: at once, now and again, soon after a change that a person who looks would miss, and with
// its last word.
//
// What stands in a report is the pilot's to say, and what follows from an answer its to decide. [Heart] knows when to report, and says
// once that idds does not answer.
//
// Goroutines: none of its own; [Heart.Beat] is run by the owner of the slots.
package heartbeat
