package harvester

import (
	"context"
	"time"

	"tfpilot/internal/message"
)

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
	Node      string `json:"node,omitempty"`
	// ExitCode is valid once it has ended; -1 when nobody knows it or a signal ended it.
	ExitCode    int       `json:"exit_code"`
	Reason      string    `json:"reason"`
	IntendedAt  time.Time `json:"intended_at,omitzero"`
	SubmittedAt time.Time `json:"submitted_at,omitzero"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
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
