package payload

import (
	"context"
	"time"

	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
)

// Payload works on slices, one at a time.
type Payload interface {
	// Run works on one slice until it is done or ctx ends. The error says by exitcode.From whose fault it was. Usage is
	// filled in either case.
	Run(ctx context.Context, r Request) (Result, error)
	// Close ends what the payload keeps between slices.
	Close(ctx context.Context) error
}

// Request is one slice to be worked on.
type Request struct {
	Slice message.Slice
	// Input is the file, as a path on this node.
	Input string
	// Dir is an empty folder of the slice's own, removed afterwards.
	Dir string
	// Run runs the payload's program so that nothing of it is left behind. Payloads that start none need none.
	Run func(ctx context.Context, c proc.Command, l keeper.Limits) (keeper.Result, error)
}

// Usage is what a slice cost and what its program printed, head and tail.
type Usage struct {
	// Wall is that of the process; 0 when the payload started none.
	Wall, User, System time.Duration
	// PeakBytes is the most memory that its processes held together; MaxRSSBytes what the largest of them did.
	PeakBytes, MaxRSSBytes int64
	// Processes is how many were seen at once, at most.
	Processes      int
	ExitCode       int
	Signal         string
	LeftBehind     int
	Stdout, Stderr string
}
