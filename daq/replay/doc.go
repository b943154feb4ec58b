// Package replay makes time frames of simulated events: whatever made them, a detector could have sent them like this.
//
// The events of a file ([stf.OpenEvents]) go into frames in their order, the same number into each, and again from the
// beginning when the file is used up. In its frame every event gets a random collision time; the times of its hits are shifted
// by it and smeared. The hits of a frame are sorted by time and say nothing of their event: which belong together is for the
// payload to find. All other columns pass through as they are, so that it does not matter what they mean. Event numbers,
// collision times, vertices and particles are kept in the truth.
//
// Left out: collisions within a microsecond of a frame's ends, and hits that would be after the end.
//
// A frame depends on (file, seed, STF, frame number) only, so that frames can be made in any order and a restart makes the
// same. Of the file only a few blocks are in memory, however large it is.
package replay
