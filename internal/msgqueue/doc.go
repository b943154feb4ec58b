// Package msgqueue is what becomes of messages in the embedded broker: addresses, the queues bound to them, and the subscriptions
// that compete for what is in a queue. It knows nothing of frames and sockets: internal/stompd brings the messages and is told of
// deliveries.
//
// A message is routed to an address ([Addresses.Route]) and is in all of its queues or in none. An address has queues bound to it
// (fan-out), and every subscription to an address that is no queue has a private queue of its own, which ends with it: that is a
// topic. A durable one has a queue that stays. A queue gives each message to one subscription whose selector matches and whose window
// has room ([Wish]); what is not settled goes back to the head of its queue, or to the dead letters after too many failed deliveries
// ([Addresses.GiveBack]).
//
// All of it is as measured of ActiveMQ Artemis, or of ActiveMQ Classic: see manners. What must outlive the process is told to
// internal/msgstore as it happens, and is one record for each command ([Addresses.Commit]).
//
// It has no goroutines and no lock: that of the broker guards everything here, and nothing here waits.
package msgqueue
