// Package payload is what works on a slice: what it gets ([Request]), what it gives back ([Result]), and the kinds of payload behind
// one interface ([Payload]). What a payload is, a TOML file says, which is package payloadfile; [Program] is its program, started and
// judged as that says, and [Guard] holds it to its limits.
//
// The contract for authors is docs/payloads.md; [Command] implements it. Every error of a payload answers, by
// internal/exitcode, whose fault it was and whether another attempt makes sense. The package starts no goroutine.
package payload
