package document

import (
	"encoding/json"
	"time"

	"tfpilot/internal/message"
)

// Place is where an outstanding slice is.
type Place string

// The places.
const (
	PlaceQueue      Place = "queue"       // on the queue, or with a worker that reports nothing
	PlaceHeld       Place = "held"        // in the hand of a living pilot
	PlaceSilent     Place = "silent"      // in the hand of a pilot that fell silent
	PlaceUnsent     Place = "unsent"      // decided on, not confirmed by the broker
	PlaceWaiting    Place = "waiting"     // for its next attempt
	PlaceDeadLetter Place = "dead_letter" // the same, after it was found among the broker's dead letters
)

// Slice is one slice in the ledger.
type Slice struct {
	Identity   string    `json:"identity"`
	Namespace  string    `json:"namespace"`
	RunID      string    `json:"run_id"`
	Filename   string    `json:"filename"`
	TFFilename string    `json:"tf_filename"`
	SliceID    int64     `json:"slice_id"`
	Start      int64     `json:"start"`
	End        int64     `json:"end"`
	State      string    `json:"state"`
	Attempt    int       `json:"attempt"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// Place is where an outstanding slice is; Where says it in words, with the pilot and the time.
	Place    Place            `json:"place,omitempty"`
	Where    string           `json:"where,omitempty"`
	Failure  *message.Failure `json:"failure,omitempty"`
	Attempts []Attempt        `json:"attempts,omitempty"`
}

// Overcome are the attempts of a slice that is done which came to nothing before that.
func (s *Slice) Overcome() (out []Attempt) {
	for i := range s.Attempts {
		if a := &s.Attempts[i]; s.State == "done" && (a.Failure != nil || a.State == "lost") {
			out = append(out, *a)
		}
	}
	return out
}

// Attempt is one publication of a slice and what came of it.
type Attempt struct {
	Attempt   int       `json:"attempt"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
	PilotID   string    `json:"pilot_id,omitempty"`
	Hostname  string    `json:"hostname,omitempty"`
	// FinishedAt is by the clock of idds: when the result was counted. The times before it are by the worker's.
	ReceivedAt  time.Time `json:"received_at,omitzero"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	ProcessedAt time.Time `json:"processed_at,omitzero"`
	PublishedAt time.Time `json:"published_at,omitzero"`
	// LostAt is when it was given up; a result may have come all the same.
	LostAt         time.Time        `json:"lost_at,omitzero"`
	FinishedAt     time.Time        `json:"finished_at,omitzero"`
	ProcessingTime float64          `json:"processing_time,omitempty"`
	Failure        *message.Failure `json:"failure,omitempty"`
}

// Why is what it came to nothing for, in a word.
func (a *Attempt) Why() string {
	if a.State != "lost" && a.Failure != nil {
		return a.Failure.Name
	}
	return a.State
}

// GivenUp is when the attempt was given up; zero when it was not. Stores of before have it elsewhere.
func (a *Attempt) GivenUp() time.Time {
	if a.LostAt.IsZero() && a.State == "lost" {
		return a.FinishedAt
	}
	return a.LostAt
}

// SliceHistory is GET /v1/runs/{run}/slices/{slice}: a slice, and what happened to it in the order of time.
type SliceHistory struct {
	Slice
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

// FailureCount counts the slices that failed in one way: for good, or in the latest of their attempts that failed, while they are tried
// again or when another attempt has made them done. A slice that failed in several ways is counted with the last of them.
type FailureCount struct {
	Class    string `json:"class"`
	Name     string `json:"name"`
	Failed   int    `json:"failed"`
	Retrying int    `json:"retrying"`
	// DoneLater is how many another attempt has made done.
	DoneLater int `json:"done_later"`
}

// Slices is how many failed in this way.
func (f FailureCount) Slices() int { return f.Failed + f.Retrying + f.DoneLater }
