package document

import (
	"encoding/json"
	"time"
)

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

// RecentPage is a list answer of what is kept in memory alone, the oldest first: without a cursor the latest, with one what came after.
type RecentPage[T any] struct {
	Items []T `json:"items"`
	// Next is the cursor that goes on from here, also when nothing has come yet.
	Next string `json:"next"`
	// Follows says that the items are all that has come since the cursor that was handed back: none is left out.
	Follows bool `json:"-"`
	// Since is when the service was started: it knows nothing of before.
	Since time.Time `json:"since"`
	// Dropped counts lines of logs that were too many a second.
	Dropped uint64 `json:"dropped,omitempty"`
}
