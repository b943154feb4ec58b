// Package stompframe reads and writes STOMP frames with what go-stomp's frame package leaves to its user: bounds on headers
// and bodies before anything is allocated, frames gathered into few writes, and CONNECT frames without escaping, as the
// specification wants them. Client (internal/stomp) and broker (internal/stompd) both speak through it.
package stompframe
