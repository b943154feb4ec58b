// Package broker keeps one connection to one of several brokers alive and lets consumers and publishers outlive it.
//
// A [Link] owns the connection. [Link.Publish] returns nil only after the broker's receipt, and repeats the message with the
// same _AMQ_DUPL_ID over as many connections as it takes. A [Consumer] is subscribed anew on every connection; each
// [Delivery] remembers the connection it came on, because only that one can acknowledge it ([ErrStale] otherwise: the broker
// delivers the message again). A pilot's slice is thus received, run, published with a receipt and acknowledged with a
// receipt, in this order; this package offers no other.
//
// Giving back: [Consumer.Close] unsubscribes, which returns what is not acknowledged without counting a failed delivery. When
// the context of [Link.Run] ends, Run does so for every consumer that is still open, and then says goodbye to the broker.
//
// Goroutines: all belong to [Link.Run], which connects, reconnects, subscribes consumers, and returns when all have ended.
package broker
