// Package stompd is the embedded broker: STOMP 1.1 and 1.2, imitating ActiveMQ Artemis as it was measured, so that what works
// here works there. In the mode classic it imitates ActiveMQ Classic: see manners.
//
// Here is what a connection is: CONNECT, heart-beats, commands and transactions, what waits to be written, and the faults that tests
// want ([Config].Fault). What becomes of a message, its addresses, queues and subscriptions, is internal/msgqueue.
//
// As in Artemis: all headers are strings to a selector; NACK discards; an ACK that fits nothing is an ERROR, and every ERROR
// closes the connection; a message not acknowledged when its connection ends has failed a delivery and goes to the dead
// letters after MaxDeliveries, while UNSUBSCRIBE gives it back uncounted; a SEND to an address without queues has a
// RECEIPT and is gone; a repeated _AMQ_DUPL_ID has a RECEIPT and is dropped; a transaction holds back SENDs, not ACKs.
// internal/e2e/conformance asks both for all of it.
//
// With a state folder, persistent messages with the queues that they are in, acknowledgements, failed deliveries, durable
// subscriptions and duplicate ids outlive the process (internal/msgstore). What one command did is one record, and no
// frame that tells of it, RECEIPT or MESSAGE, is written before the record is on disk: the writer of the connection waits, the
// reader goes on, and what it has done meanwhile shares the next sync.
//
// Goroutines: per connection a reader and a writer, and one that looks for expired messages, one that writes the log. One lock
// guards the addresses with all that is in them, and which connections there are; nobody holds it while waiting for a socket.
package stompd
