// Package message holds the messages of the broker: what tfpilot exchanges with the programs of the production system. The broker
// configuration that a worker asks for before it has one is package metainfo's, and what idds says of itself over REST is package
// document's; nothing else in the module knows a wire name.
//
// Reading is tolerant, because peers of several ages share the queues: unknown keys are kept and copied, a run number
// may be text or number ([RunID]), a time may have any of the eight formats seen ([Timestamp]), a frame number may be
// a quoted number ([Int]). Writing is strict: one shape, times in UTC with microseconds and Z, keys in the order of the
// production system.
//
// [Peek] tells what a body is before it is decoded; each message has Validate, which answers whether it can be acted on.
package message
