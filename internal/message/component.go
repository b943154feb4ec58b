package message

import (
	"encoding/json"
	"time"
)

// ComponentDocument is POST /v1/components, by which a program other than a pilot says that it is alive, and one entry of GET
// /v1/components, which has the pilots too.
type ComponentDocument struct {
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

// LogRecord is one line of a program's log, as POST /v1/logs brings it and GET /v1/logs shows the recent ones.
type LogRecord struct {
	// At is when it came where that is missing, or later than can be.
	At        time.Time `json:"at" required:"false"`
	Namespace string    `json:"namespace,omitempty"`
	Component string    `json:"component" maxLength:"200"`
	Role      string    `json:"role,omitempty" maxLength:"50"`
	// Level is DEBUG, INFO, WARN or ERROR.
	Level   string            `json:"level"`
	Message string            `json:"message" maxLength:"4000"`
	RunID   string            `json:"run_id,omitempty" maxLength:"200"`
	Slice   string            `json:"slice,omitempty" maxLength:"400"`
	Attrs   map[string]string `json:"attrs,omitempty"`
}

// LogBatch is POST /v1/logs.
type LogBatch struct {
	Records []LogRecord `json:"records" maxItems:"1000"`
}

// LogReceipt answers it: what is too many is dropped.
type LogReceipt struct {
	Taken   int `json:"taken"`
	Dropped int `json:"dropped"`
}

// RecentPage is a list answer of what is kept in memory alone, the oldest first: without a cursor the latest, with one what came after.
type RecentPage[T any] struct {
	Items []T `json:"items"`
	// Next is the cursor that goes on from here, also when nothing has come yet.
	Next string `json:"next"`
	// Since is when the service was started: it knows nothing of before.
	Since time.Time `json:"since"`
	// Dropped counts lines of logs that were too many a second.
	Dropped uint64 `json:"dropped,omitempty"`
}

// SeenMessage is one message that idds has seen, as GET /v1/messages shows the recent ones.
type SeenMessage struct {
	At          time.Time `json:"at"`
	Namespace   string    `json:"namespace"`
	Destination string    `json:"destination"`
	MsgType     string    `json:"msg_type"`
	Sender      string    `json:"sender,omitempty"`
	RunID       string    `json:"run_id,omitempty"`
	Slice       string    `json:"slice,omitempty"`
	Bytes       int       `json:"bytes"`
	// Junk says why it was none.
	Junk string `json:"junk,omitempty"`
	// Body is the message, if it is short.
	Body json.RawMessage `json:"body,omitempty"`
}

// DetectorDocument is what the data side says of a run and of itself.
type DetectorDocument struct {
	State    string    `json:"state"`
	Substate string    `json:"substate,omitempty"`
	Since    time.Time `json:"since"`
	// STFs were taken, of which STFBytes are known; Announced is what end_run said, absent until then.
	STFs      int   `json:"stfs"`
	STFBytes  int64 `json:"stf_bytes"`
	Announced *int  `json:"announced,omitempty"`
	// LastSTFAt is when the last one was taken.
	LastSTFAt time.Time `json:"last_stf_at,omitzero"`
	// Changes are the states that it had, the present one last; 100 at most.
	Changes []DetectorChange `json:"changes,omitempty"`
}

// DetectorChange is a state that the detector had, from a time on.
type DetectorChange struct {
	At       time.Time `json:"at"`
	State    string    `json:"state"`
	Substate string    `json:"substate,omitempty"`
	MsgType  string    `json:"msg_type,omitempty"`
}
