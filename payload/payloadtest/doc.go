// Package payloadtest is the suite that every kind of payload passes. [Run] makes payloads of a kind out of a program that behaves
// well, fails, crashes, hangs, floods, lies, breaks its limits or cannot be started, runs slices through them as a pilot does (package
// wrapper: keepers, a folder of its own, limits, logs), and holds each to the same: a clear verdict with its class, a slot that does
// the next slice, and nothing left of the one before.
//
// The program is the test binary itself, started again: importing this package is enough. What it is to do stands in the name of the
// slice's input, so that one program can do something else with each slice. Kinds differ in how they speak with their programs: that
// is the front, the program's side of it.
//
// Goroutines: those of the slices under way; [Run] waits for them.
package payloadtest
