package document

import (
	"time"
)

// Actor is one entry of GET /v1/actors: a program that was seen to do a duty that is idds' by its configuration.
type Actor struct {
	Namespace string `json:"namespace"`
	// Duty is demand, stop, retry, answer or books.
	Duty string `json:"duty"`
	// Sender is what the messages say that they are from.
	Sender string `json:"sender"`
	Count  int    `json:"count"`
	// RunID is the run of the last one.
	RunID   string    `json:"run_id"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
}

// Component is POST /v1/components, by which a program other than a pilot says that it is alive, and one entry of GET
// /v1/components, which has the pilots too.
type Component struct {
	Namespace string `json:"namespace,omitempty"`
	// Name is the program's own, the same after a restart; Role is pilot, harvester, idds, daq or a name of a peer's kind.
	Name string `json:"name" minLength:"1" maxLength:"200"`
	Role string `json:"role" minLength:"1" maxLength:"50"`
	// State is STARTING, READY, PROCESSING or EXITED, as the production system's agents have it; SEEN of those of which nothing is
	// known but that they send messages.
	State string `json:"state" maxLength:"50"`
	// Status is OK, WARNING or ERROR of those that say it.
	Status    string    `json:"status,omitempty" maxLength:"50"`
	Details   string    `json:"details,omitempty" maxLength:"2000"`
	RunID     string    `json:"run_id,omitempty"`
	Hostname  string    `json:"hostname,omitempty"`
	PID       int       `json:"pid,omitempty"`
	Version   string    `json:"version,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// HeartbeatSeconds is how often it says so; after three times as long it counts as gone.
	HeartbeatSeconds float64   `json:"heartbeat_seconds,omitempty"`
	LastSeen         time.Time `json:"last_seen,omitzero"`
	Alive            bool      `json:"alive" required:"false"`
}
