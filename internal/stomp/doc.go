// Package stomp is a STOMP 1.2 session (1.1 accepted) on go-stomp's frame codec: one connection, no reconnecting (that is
// internal/broker).
//
// What it does that the client of go-stomp does not: any number of SENDs wait for their receipts at once, an ACK has a
// receipt, SUBSCRIBE is confirmed, every wait has a context, and neither a slow consumer nor a receipt that nobody waits for
// any more holds up heart-beats. [Conn.Send] and [Conn.Ack] return a [Receipt] at once; [Receipt.Wait] is where time passes.
//
// A wrong ACK ends the connection on Artemis, and with it the slices of every other slot. So a [Message] knows whether it
// may still be acknowledged, and [Conn.Ack] answers [ErrNotHeld] by itself when it may not.
//
// Goroutines: a reader, which hands on frames and never waits for a consumer; a writer, which sends in one piece whatever
// has been queued since it last wrote, and heart-beats; and, only while a consumer is behind, one per subscription. All end
// with the connection, and Close waits for them.
package stomp
