package message

import (
	"encoding/json"
	"time"
)

// SliceHistory is GET /v1/runs/{run}/slices/{slice}: a slice, and what happened to it in the order of time.
type SliceHistory struct {
	SliceRecord
	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`
	// STFCreatedAt is when its STF file was complete.
	STFCreatedAt time.Time `json:"stf_created_at,omitzero"`
	RetryAt      time.Time `json:"retry_at,omitzero"`
	// Counts are the payload's own of the winning result.
	Counts map[string]int64 `json:"counts,omitempty"`
	// Downed are pilots that fell silent with it in hand.
	Downed []string `json:"downed,omitempty"`
	// Absorbed counts its results that changed nothing; Events have the first of them.
	Absorbed int `json:"absorbed,omitempty"`
	// Message is the slice as it was published last; absent while only results of it have come.
	Message json.RawMessage `json:"message,omitempty"`
	Events  []SliceEvent    `json:"events"`
}

// SliceEvent is one thing that happened to a slice.
type SliceEvent struct {
	At time.Time `json:"at"`
	// What is stf_created, created, sent, received, started, processed, published, finished, absorbed, lost, retry_due or final. Clocks
	// of several machines tell it.
	What    string `json:"what"`
	Attempt int    `json:"attempt,omitempty"`
	PilotID string `json:"pilot_id,omitempty"`
	Details string `json:"details,omitempty"`
}

// AbsorbedResult is a result that changed nothing, because another one had come before.
type AbsorbedResult struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	State   string    `json:"state"`
	PilotID string    `json:"pilot_id,omitempty"`
}

// FailureDocument counts the slices that failed in one way: for good, or at their latest attempt while they are tried again.
type FailureDocument struct {
	Class    string `json:"class"`
	Name     string `json:"name"`
	Failed   int    `json:"failed"`
	Retrying int    `json:"retrying"`
}

// HealthDocument is GET /v1/health: what is wrong, in words.
type HealthDocument struct {
	At time.Time `json:"at"`
	OK bool      `json:"ok"`
	// Parts are all that was looked at.
	Parts []HealthPart `json:"parts"`
}

// HealthPart is one thing that the service stands on.
type HealthPart struct {
	// Name is store, broker, subscriptions or backlog.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Details say what is wrong, or how it is.
	Details string    `json:"details"`
	Since   time.Time `json:"since,omitzero"`
}
