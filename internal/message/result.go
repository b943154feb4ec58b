package message

import (
	"encoding/json"
	"errors"
	"fmt"

	"tfpilot/internal/rawjson"
)

// The two states of a result.
const (
	StateDone   = "done"
	StateFailed = "failed"
)

// SliceResult is one message of /topic/panda.results.
type SliceResult struct {
	MsgType   string        `json:"msg_type"`
	RunID     RunID         `json:"run_id"`
	CreatedAt Timestamp     `json:"created_at"`
	Sender    string        `json:"sender,omitempty"`
	Namespace string        `json:"namespace,omitempty"`
	Content   ResultContent `json:"content"`
}

// ResultContent is what became of one attempt. Times of work are seconds.
type ResultContent struct {
	// RequestedAt is the slice's created_at, verbatim.
	RequestedAt       Timestamp `json:"requested_at"`
	ProcessingStartAt Timestamp `json:"processing_start_at"`
	ProcessedAt       Timestamp `json:"processed_at"`
	State             string    `json:"state"`
	Hostname          string    `json:"hostname"`
	PandaServerURL    *string   `json:"panda_server_url"`
	PandaTaskID       *string   `json:"panda_task_id"`
	PandaID           *string   `json:"panda_id"`
	HarvesterID       *string   `json:"harvester_id"`

	// Ours (design.md 5).
	ProcessingTime *float64 `json:"processing_time,omitempty"`
	Attempt        Int      `json:"attempt,omitzero"`
	// ReceivedAt is when the slice came into the worker's hand, which may be long before its payload was started.
	ReceivedAt Timestamp        `json:"received_at,omitzero"`
	ReqID      Text             `json:"req_id,omitempty"`
	PilotID    string           `json:"pilot_id,omitempty"`
	Payload    *PayloadIdentity `json:"payload,omitempty"`
	// Counts of the payload, such as events, tracks, hits, frames.
	Counts     map[string]int64 `json:"counts,omitempty"`
	Histograms json.RawMessage  `json:"histograms,omitempty"`
	Outputs    []OutputFile     `json:"outputs,omitempty"`
	// OutputTime is the part of ProcessingTime in which outputs were put to their place.
	OutputTime *float64 `json:"output_time,omitempty"`
	Failure    *Failure `json:"failure,omitempty"`
	// Usage is what the payload took; absent when it started no process.
	Usage *Usage `json:"usage,omitempty"`
	// Input is how a file on remote storage was made ready; absent for others.
	Input *ResultInput `json:"input,omitempty"`

	Result Outcome `json:"result"`
}

// PayloadIdentity says which program made a result.
type PayloadIdentity struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Usage is what all processes of a payload took for one slice. Bytes went through system calls that read and write.
type Usage struct {
	// Cores is how many the payload says that it needs.
	Cores         int     `json:"cores"`
	WallSeconds   float64 `json:"wall_seconds"`
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	PeakBytes     int64   `json:"peak_bytes"`
	ReadBytes     int64   `json:"read_bytes"`
	WrittenBytes  int64   `json:"written_bytes"`
	Processes     int     `json:"processes"`
}

// OutputFile is a file that a payload wrote.
type OutputFile struct {
	// Name is what the payload called it, Place the name or URL under which it is kept; empty when it is not.
	Name      string `json:"name"`
	Place     string `json:"place,omitempty"`
	SizeBytes int64  `json:"size_bytes"`
	Adler32   string `json:"adler32,omitempty"`
	// Kept says that there was a file of another attempt at the place, and is: size and checksum are those of that one.
	Kept bool `json:"kept,omitempty"`
}

// ResultInput is how the file of a slice came from remote storage. Seconds are part of the slice's time, before the payload's own.
type ResultInput struct {
	// How is fetched, cached or remote: for this slice, for another of this node, or read by the payload itself.
	How        string  `json:"how"`
	Reason     string  `json:"reason,omitempty"`
	MovedBytes int64   `json:"moved_bytes"`
	Seconds    float64 `json:"seconds"`
}

// Failure answers whose fault it was and whether another attempt makes sense. The names stand in internal/exitcode.
type Failure struct {
	Code      int    `json:"code"`
	Name      string `json:"name"`
	Class     string `json:"class"`
	Retryable bool   `json:"retryable"`
	Message   string `json:"message"`
}

// Outcome is the inner result that the production consumers read. Result is the slice's content with what was made of it;
// a peer's failure has null there, ours never.
type Outcome struct {
	State  bool           `json:"state"`
	Result rawjson.Object `json:"result"`
	Error  *string        `json:"error"`
}

// Validate answers whether the result can be counted.
func (r SliceResult) Validate() error {
	if r.Content.State != StateDone && r.Content.State != StateFailed {
		return fmt.Errorf("result state %q is neither done nor failed", r.Content.State)
	}
	if r.RunID.IsZero() {
		return errors.New("run_id missing")
	}
	return nil
}

// SliceContent is the copy of the slice's content that the result carries. ok is false when there is none, as in a peer's
// failure, or when it is not a slice's.
func (r SliceResult) SliceContent() (c SliceContent, ok bool) {
	if r.Content.Result.Result == nil {
		return SliceContent{}, false
	}
	b, err := r.Content.Result.Result.MarshalJSON()
	if err != nil || json.Unmarshal(b, &c) != nil {
		return SliceContent{}, false
	}
	return c, true
}

// Identity names the slice of the result as [SliceContent.Identity] does; empty for a peer's failure.
func (r SliceResult) Identity() string {
	if r.Content.ReqID != "" {
		return string(r.Content.ReqID)
	}
	c, ok := r.SliceContent()
	if !ok {
		return ""
	}
	return c.Identity()
}

// lostResults is after how many attempts a done result is no longer taken for a copy: a message that Artemis gave to a
// connection that died half-open can stay in its queue undelivered until the broker starts again, and the copy that would
// take its place is dropped for its id.
const lostResults = 2

// ResultDuplicateID is the _AMQ_DUPL_ID of a result: one for done whatever the attempt, one for each failed attempt. From the
// third attempt on done has one of its own too: idds asks for a third only when it heard of neither, so two are lost.
func ResultDuplicateID(namespace, run, identity string, attempt int, state string) string {
	if state == StateDone {
		if attempt > lostResults {
			return fmt.Sprintf("result/%s/%s/%s/done/%d", namespace, run, identity, attempt)
		}
		return fmt.Sprintf("result/%s/%s/%s/done", namespace, run, identity)
	}
	return fmt.Sprintf("result/%s/%s/%s/%d/failed", namespace, run, identity, attempt)
}
