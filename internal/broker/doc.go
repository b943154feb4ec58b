// Package broker keeps one connection to one of several brokers alive and lets consumers and publishers outlive it.
//
// A [Link] owns the connection. [Link.Publish] returns only after the broker's receipt, repeating the message with the same
// _AMQ_DUPL_ID over as many connections as it takes. A [Consumer] is subscribed anew on every connection; each [Delivery]
// remembers the connection it came on, because only that one can acknowledge it ([ErrStale] otherwise: the broker will
// deliver it again).
//
// Goroutines: [Link.Run] connects and reconnects; one per consumer moves deliveries. All end with Run.
package broker
