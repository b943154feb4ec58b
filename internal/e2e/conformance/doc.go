// Package conformance says what a broker does, one row for each behaviour that tfpilot depends on, or must not be surprised by.
//
// [Run] holds a broker to its rows: the embedded one in both its modes, ActiveMQ Artemis, and ActiveMQ Classic. Where the
// embedded broker and the real one disagree, the embedded one is wrong. [Table] is the same as text; docs/brokers.md has it.
//
// The rows speak STOMP frame by frame, because most of them are about what internal/stomp refuses to do. Every row uses names
// of its own, so that rows run beside each other on a shared broker and leave nothing behind. That something does not come
// is proved by what comes after it wherever the broker keeps an order, and by a silence ([Broker].Quiet) elsewhere.
package conformance
