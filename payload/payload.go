package payload

import (
	"context"
	"errors"
	"io"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
)

// Payload works on slices: in each slot on one at a time, in several slots at once. Of one that stays between slices a part
// stays in every slot.
type Payload interface {
	// Prepare returns when a slice could be worked on in the slot at once. What stays there is started when it is not there yet,
	// or not there any more; after failures it waits before it tries again, longer each time. Its error is none of any slice's.
	// Payloads of which nothing stays have nothing to prepare.
	Prepare(ctx context.Context, s Slot) (Startup, error)
	// Run works on one slice until it is done or ctx ends. The error says by exitcode.From whose fault it was. Usage is
	// filled in either case. In a slot that is not prepared it does that first.
	Run(ctx context.Context, r Request) (Result, error)
	// Close ends what the payload keeps between slices.
	Close(ctx context.Context) error
}

// Slot is a place for one slice at a time.
type Slot struct {
	// Number counts the slots of a wrapper, from 0.
	Number int
	// Dir is a folder of the slot's own, in which the folders of its slices lie; it is there as long as the wrapper. Empty for
	// payloads of which nothing stays.
	Dir string
	// Env is for whatever runs in the slot: where the token for input is. What the spec says wins.
	Env []string
	// DataDir is where the inputs of slices are, which every container sees; empty when that was not said.
	DataDir string
	// Start starts a program that stays in the slot, so that nothing of it is left when it ends.
	Start func(ctx context.Context, c proc.Command, l keeper.Limits) (*keeper.Program, error)
	// StartIn is Start in a container of an image, for payloads whose slices name one. The program's folder and binds are seen there.
	StartIn func(ctx context.Context, image string, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error)
	// Log opens the log of what such a program prints while there is no slice; it is kept when it is closed as failed.
	Log func() Log
}

// Log takes what is printed, of any length.
type Log struct {
	Stdout, Stderr io.Writer
	// Close ends it and returns the files that are kept, if it is one to be ended by who has it; nil otherwise.
	Close func(failed bool) (files []string)
}

// ErrNotReady is in the error of Run when nothing was there to be given the slice: that is no fault of the slice.
var ErrNotReady = errors.New("no payload was ready for the slice")

// Startup is how a slot became ready.
type Startup struct {
	// Took is how long what stays there took to be ready; 0 when it was ready already, or nothing stays.
	Took time.Duration
	// Gone is closed when the slot has to be prepared again before it takes another slice; nil when that will never be.
	Gone <-chan struct{}
	// Replaces says why what was there before is gone; empty when nothing was.
	Replaces string
	// Logs are the files with what was printed by what did not become ready.
	Logs []string
}

// Request is one slice to be worked on.
type Request struct {
	Slice message.Slice
	// Input is the file: its path on this node, or its address where the spec wants that.
	Input string
	// Dir is an empty folder of the slice's own, removed afterwards.
	Dir string
	// Slot is where it is worked on.
	Slot Slot
	// Run runs the payload's program so that nothing of it is left behind. Payloads that start none need none.
	Run func(ctx context.Context, c proc.Command, l keeper.Limits) (keeper.Result, error)
	// Log is the slice's own log, for programs that stay; Run brings what it runs there by itself.
	Log Log
}

// Usage is what a slice cost and what its program printed, head and tail.
type Usage struct {
	// Wall is that of the process; 0 when the payload started none.
	Wall, User, System time.Duration
	// Startup is how long something that stays was started for this slice; it is no part of Wall.
	Startup time.Duration
	// PeakBytes is the most memory that its processes held together; MaxRSSBytes what the largest of them did.
	PeakBytes, MaxRSSBytes int64
	// ReadBytes and WrittenBytes went through system calls that read and write.
	ReadBytes, WrittenBytes int64
	// Processes is how many were seen at once, at most.
	Processes      int
	ExitCode       int
	Signal         string
	LeftBehind     int
	Stdout, Stderr string
}

// UsageOf is that of a slice which had a process of its own.
func UsageOf(res keeper.Result, stdout, stderr *proc.Capture) Usage {
	return Usage{
		Wall: res.Wall, User: res.User, System: res.System, PeakBytes: res.PeakBytes, MaxRSSBytes: res.MaxRSSBytes,
		ReadBytes: res.ReadBytes, WrittenBytes: res.WrittenBytes, Processes: res.Processes,
		ExitCode: res.ExitCode, Signal: res.Signal, LeftBehind: res.LeftBehind, Stdout: stdout.String(), Stderr: stderr.String(),
	}
}
