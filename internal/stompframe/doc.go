// Package stompframe reads and writes STOMP frames, those of go-stomp's frame package, with bounds on headers and bodies before anything
// is allocated, frames gathered into few writes, and CONNECT frames without escaping, as the specification wants them. Client
// (internal/stomp) and broker (internal/stompd) both speak through it. What go-stomp's own reader and writer do takes four times as many
// allocations and flushes each frame.
package stompframe
