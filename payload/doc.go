// Package payload is what works on a slice: what a payload is ([Spec], a TOML file), what it gets ([Request]), what it gives
// back ([Result]), and its kinds behind one interface ([Payload]).
//
// The contract for authors is docs/payloads.md; [Command] implements it. Every error of a payload answers, by
// internal/exitcode, whose fault it was and whether another attempt makes sense.
package payload
