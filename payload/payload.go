package payload

import (
	"context"
	"time"

	"tfpilot/internal/hist"
	"tfpilot/internal/message"
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
}

// Result is what a payload made of a slice: the document that a command writes to the file named by TFPILOT_RESULT, and
// what was measured while it ran.
type Result struct {
	// Counts add up over slices: events, tracks, hits, frames and whatever else the payload counts.
	Counts map[string]int64 `json:"counts,omitempty"`
	// Histograms are merged over slices by name.
	Histograms hist.Set `json:"histograms,omitempty"`
	// Outputs are files that the payload wrote into its folder.
	Outputs  []Output `json:"outputs,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// ReqID, when given, must be the slice's: a result of another slice is refused.
	ReqID string `json:"req_id,omitempty"`

	Usage Usage `json:"-"`
}

// Output is one file, by its name in the folder; size (bytes) and checksum are filled in by us.
type Output struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`
}

// Usage is what a slice cost and what its program printed, head and tail.
type Usage struct {
	User, System   time.Duration
	MaxRSSBytes    int64
	ExitCode       int
	Signal         string
	LeftBehind     int
	Stdout, Stderr string
}
