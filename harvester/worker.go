package harvester

import (
	"context"
	"time"

	"tfpilot/internal/message"
)

// State is where a worker is in the batch system.
type State string

// The states, in order. Intended: in our store, perhaps not in the batch system. Missing: the batch system does not know it
// (any more).
const (
	Intended State = "intended"
	Queued   State = "queued"
	Running  State = "running"
	Ended    State = "ended"
	Missing  State = "missing"
)

// Live reports whether a worker holds, or may come to hold, slots.
func (s State) Live() bool { return s == Intended || s == Queued || s == Running }

// Worker is one submitted pilot.
type Worker struct {
	// ID is ours: the submission's tag and a number.
	ID  string `json:"id"`
	Tag string `json:"tag"`
	// BatchID is the batch system's name for it.
	BatchID   string `json:"batch_id"`
	RunID     string `json:"run_id"`
	Namespace string `json:"namespace"`
	State     State  `json:"state"`
	// ExitCode is valid once it has ended; -1 when nobody knows it or a signal ended it.
	ExitCode    int       `json:"exit_code"`
	Reason      string    `json:"reason"`
	IntendedAt  time.Time `json:"intended_at,omitzero"`
	SubmittedAt time.Time `json:"submitted_at,omitzero"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// Submission is several equal pilots.
type Submission struct {
	// Tag is unique, and found again in the batch system.
	Tag   string
	Count int
	Path  string
	Args  []string
	// Env is the whole environment of the pilot.
	Env []string
}

// Status is what the batch system says of one of its jobs.
type Status struct {
	State State
	// ExitCode is -1 when it is not known, or a signal ended the job.
	ExitCode int
	// Reason says in words why it is in this state, where the batch system tells.
	Reason string
	// StartedAt and EndedAt are zero when the batch system does not tell.
	StartedAt, EndedAt time.Time
}

// BatchSystem runs pilots. Its exported suite is harvester/batchtest.
type BatchSystem interface {
	// Name is what pilots report as batch_system.
	Name() string
	// Submit hands in a submission and returns its jobs' ids, in order.
	Submit(ctx context.Context, s Submission) ([]string, error)
	// Find returns the ids of the jobs of a tag: what Submit would have returned, had we lived to hear it.
	Find(ctx context.Context, tag string) ([]string, error)
	// Poll says how jobs are. One that the batch system does not know is not in the answer; an error means that it could not
	// be asked, and says nothing about jobs.
	Poll(ctx context.Context, ids []string) (map[string]Status, error)
	// Cancel ends jobs; of those that have ended, or are not known, it says nothing.
	Cancel(ctx context.Context, ids []string) error
}

// Store remembers workers.
type Store interface {
	// Put makes or replaces workers by their ID, all or none.
	Put(ctx context.Context, workers ...Worker) error
	// Live returns the workers whose state is Live.
	Live(ctx context.Context) ([]Worker, error)
}

// Demand says how many workers are wanted.
type Demand interface {
	Demand(ctx context.Context) (message.DemandDocument, error)
}
