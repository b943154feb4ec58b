// Package slotend is about the end of a batch slot: when it is, whether another slice fits in before it, and who brought it about.
//
// What is known of the slot is not its own: that is a [Place] (pilot/slotinfo). A [Deadline] holds it against how long slices have
// taken, so that none is begun that cannot be finished, and relies on it only when the clock has been compared with that of idds.
//
// Goroutines: none of its own but one for each question of [Deadline.Signalled], which is bounded; [Deadline.Watch] is run by the
// owner of the slots.
package slotend
