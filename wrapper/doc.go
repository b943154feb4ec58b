// Package wrapper runs one payload on one slice under control: a folder of its own, the payload of its kind, limits, and a
// verdict. The pilot and the command line of the same name run slices through it, and so see the same.
//
// A slice that cannot be worked on fails without a payload; one that asks for simulated processing goes to the fake; the
// rest is [payload.Payload]'s. What became of it is an [Outcome], whose error says by internal/exitcode whose fault it was.
//
// Programs run under internal/keeper, which holds their processes together; what they print goes to files as well, which stay when
// the slice fails ([Logs]).
//
// Goroutines: those of keepers, until [Wrapper.Close]. [Wrapper.Run] returns when nothing of the payload is left, and the folder is
// gone.
package wrapper
