// Package traces tells an OpenTelemetry collector what became of slices: a trace of each, from the data taken to the result counted.
//
// Pilots and daq reach no collector, and carry none of its libraries: the spans of all are made here, when a slice has come to its
// end, from what the ledger knows of it, each in the name of the program that it is of. Where a slice begins in its message
// (content.traceparent), that of a payload's program, which finds it as TRACEPARENT, joins.
//
// [Exporter.Hear] never waits: slices stand in a queue, from which one goroutine makes spans for the SDK's batches. What finds the
// queue full, because the collector is slow or away, is dropped and counted.
package traces
