// Package stompd is the embedded broker: STOMP 1.1 and 1.2, imitating ActiveMQ Artemis as it was measured, so that what works
// here works there. In the mode classic it imitates ActiveMQ Classic: see manners.
//
// A SEND goes to an address. An address has queues bound to it (fan-out), and every subscription to an address that is no
// queue has a private queue of its own, which ends with it: that is a topic. One with a client-id and a
// durable-subscription-name has a queue that stays. destination-type or subscription-type ANYCAST makes a queue of an address
// that has none. A queue gives each message to one subscription whose selector matches and whose window has room.
//
// As in Artemis: all headers are strings to a selector; NACK discards; an ACK that fits nothing is an ERROR, and every ERROR
// closes the connection; a message not acknowledged when its connection ends has failed a delivery and goes to the dead
// letters after MaxDeliveries, while UNSUBSCRIBE gives it back uncounted; a SEND to an address without queues has a
// RECEIPT and is gone; a repeated _AMQ_DUPL_ID has a RECEIPT and is dropped; a transaction holds back SENDs, not ACKs.
// internal/e2e/conformance asks both for all of it.
//
// With a state folder, persistent messages with the queues that they are in, acknowledgements, failed deliveries, durable
// subscriptions and duplicate ids outlive the process, in a log (internal/seglog). What one command did is one record, and no
// frame that tells of it, RECEIPT or MESSAGE, is written before the record is on disk: the writer of the connection waits, the
// reader goes on, and what it has done meanwhile shares the next sync. records.go says what is in the log, store.go what goes
// into it and when, restore.go how it is read.
//
// Goroutines: per connection a reader and a writer, and one that looks for expired messages, one that writes the
// log. One lock guards addresses and
// queues; nobody holds it while waiting for a socket.
package stompd
