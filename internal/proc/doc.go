// Package proc runs other programs so that nothing of them is left behind.
//
// A [Process] is a program with everything that it starts: its tree. Ending it means SIGTERM to the whole tree, a grace, then
// SIGKILL until nothing is left, also of what has changed its group or session or lost its parent. When the program ends by
// itself, what it left behind is killed too.
//
// How the tree is found: the program gets a session of its own and a mark in its environment; this process becomes the
// subreaper of its descendants, so that whatever loses its parent becomes our child and is recognised by its session or its
// mark. What has dropped both is ended when no other tree is there that it could belong to. Only descendants of this process
// are looked at; what somebody else has started in this process, or before it became this program, is left alone.
//
// Goroutines: one that waits for the program, and one for each stream that is captured or fed; all end with Wait. Each process
// of a service that a program was to start ([Command].StartsService) has one until it ends. A [Tap] has one until it is closed.
package proc
