// Package eicrecon runs the experiment's reconstruction, EICrecon, as the production worker does: a process for each slice, or a
// daemon in each slot that is asked over ZeroMQ, slice after slice (EICrecon's managed mode).
//
// What a slice asks for is a choice: version of the detector, image, and which of the two. Choices that differ get another daemon;
// the one before is ended first. A daemon has a socket of its own and is asked over a new connection each time ([Payload.Run]), so
// that no answer is taken for that of another slice. It is watched while it works: one that dies answers nothing. Whatever leaves it
// in doubt what a daemon does (no answer in time, one that makes no sense, events that are missing) is its end.
//
// The protocol, ZMTP, is spoken here as far as it is needed (zmtp.go); the other end in the tests is libzmq.
//
// Goroutines: two for each daemon, which take what it prints and end with it; one more while it becomes ready or works. The programs' are
// those of package keeper.
package eicrecon
