package document

import (
	"time"
)

// Task is one entry of GET /v1/tasks: a workflow task.
type Task struct {
	Namespace    string `json:"namespace"`
	RunID        string `json:"run_id"`
	RequestID    int64  `json:"request_id"`
	TransformID  int64  `json:"transform_id"`
	ProcessingID int64  `json:"processing_id"`
	InputCollID  int64  `json:"input_coll_id"`
	OutputCollID int64  `json:"output_coll_id"`
	WorkloadID   int64  `json:"workload_id"`
	Scope        string `json:"scope"`
	Name         string `json:"name"`
	// State is open or closed.
	State string `json:"state"`
	TaskSize
	CreatedBy string       `json:"created_by"`
	CreatedAt time.Time    `json:"created_at"`
	ClosedAt  time.Time    `json:"closed_at,omitzero"`
	Changes   []TaskChange `json:"changes,omitempty"`
}

// TaskSize is what a task asks for: Workers is how many are wanted, CoreCount and MemoryPerCore (MB) are as they were asked for.
type TaskSize struct {
	Workers       int     `json:"workers"`
	CoreCount     int     `json:"core_count"`
	MemoryPerCore float64 `json:"memory_per_core,omitempty"`
	Site          string  `json:"site,omitempty"`
}

// TaskChange is one adjustment of a task, with what it is from then on, or its end.
type TaskChange struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
	// Did is adjusted or closed.
	Did string `json:"did"`
	TaskSize
}
