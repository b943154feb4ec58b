// Package resident is payloads that stay: a process in every slot is started once, says that it is ready, and is fed one slice
// after another, a line of JSON for each, so that what its start costs is paid once for a slot and not once for a slice. The lines
// are those of docs/payloads.md; [Payload] is the kind.
//
// A process is trusted as long as it keeps to that. One that does not, dies, falls silent or takes too long is ended with all that
// it has started, and a fresh one takes its place: there is no other way to be sure that an answer is that of the slice asked for.
// A slice that was lost with its process, whosever fault that was, is given to a fresh one once.
//
// Files: resident.go is the kind, slot.go what it keeps of a slot, process.go a process, exchange.go one slice with it, line.go
// the lines, clock.go time in which it could run.
//
// Goroutines: three for each process, which end with it: one reads its answers, one what it prints, one waits for its end. Those
// of internal/keeper come beside them.
package resident
