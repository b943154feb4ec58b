// Package stomp is a STOMP 1.2 session (1.1 accepted) on go-stomp's frame codec: one connection, no reconnecting (that is
// internal/broker).
//
// What it does that the client of go-stomp does not: any number of SENDs wait for their receipts at once, an ACK has a
// receipt, SUBSCRIBE is confirmed, every wait has a context, and heart-beats go out whatever a consumer does.
//
// Goroutines: a reader, which hands on frames and never waits for a consumer (each subscription has an unbounded inbox; the
// broker's window bounds it), and a writer, which alone writes, gathers frames and flushes when it has no more. Both end
// with the connection; Close waits for them.
package stomp
