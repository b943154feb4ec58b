// Package slotinfo finds out what a pilot's slot is: whose it is, how much of the node belongs to it, and when it ends, each with
// the source. [Slot] is a pilot's [tfpilot/internal/slotend.Place].
//
// What stands in files and in the environment is read at once, by [New]; it takes a millisecond. What a batch command has to be
// asked comes later, in [Slot.Watch], which asks seldom and never holds up a slice. Of several sources for the same thing the
// smallest wins: nobody may use more than the tightest of them allows.
//
// Time is a matter of trust. Where a source gives a duration, it is counted from the age of the job's first process, which the
// kernel knows without any clock. A point in time is somebody else's clock: it is held against such a duration, or against the
// clock of idds, before it is believed.
package slotinfo
