// Package stageout puts the outputs of a slice to their place, whole or not at all: a folder, or a path on an XRootD server.
//
// A [Place] is where, a [Store] is how. [Deliver] writes every file of a slice under a temporary name, compares size and checksum,
// and renames them when all are there. It tries again what may go better, within a time, and leaves nothing of what did not go.
//
// A file of the final name is not written over: execution is at least once, but the effect is once, and the result of the first
// that was done names its size and checksum. What another attempt has made is dropped then, and [Placed] says what is there.
//
// Goroutines: [Deliver] starts one for every step, because a file system may never answer; it leaves it behind when the time is
// over. Such a step cannot give a file its final name: that is one of its own.
package stageout
