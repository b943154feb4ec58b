package message

import (
	"encoding/json"
	"time"
)

// RunState is how far a run is in the eyes of idds.
type RunState string

// The states of a run: slices may come; the end is announced; nothing more will happen.
const (
	RunOpen   RunState = "open"
	RunEnding RunState = "ending"
	RunClosed RunState = "closed"
)

// RunDocument is GET /v1/runs/{run}.
type RunDocument struct {
	RunID     string    `json:"run_id"`
	Namespace string    `json:"namespace"`
	State     RunState  `json:"state"`
	OpenedAt  time.Time `json:"opened_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	ClosedAt  time.Time `json:"closed_at,omitzero"`
	// TotalSlices is what end_run announced, absent until then or when the producer does not say.
	TotalSlices *int `json:"total_slices,omitempty"`
	// Workers is how many the run asked for.
	Workers int         `json:"workers"`
	Slices  SliceCounts `json:"slices"`
	// Counts are the payload's own, summed over the winning results: events, tracks, hits, frames.
	Counts map[string]int64 `json:"counts"`
	// Unmerged counts results that are done but whose histograms fit no others of the run, or are too many.
	Unmerged int        `json:"unmerged"`
	Latency  RunLatency `json:"latency"`
	// Detector is what the data side says of it; absent while that has said nothing.
	Detector *DetectorDocument `json:"detector,omitempty"`
}

// SliceCounts is the accounting of a run: published = done + failed + outstanding, always.
type SliceCounts struct {
	Published   int `json:"published"`
	Done        int `json:"done"`
	Failed      int `json:"failed"`
	Outstanding int `json:"outstanding"`
	// Retried counts attempts beyond the first; Absorbed results that changed nothing; Corrected a done after a final
	// failed; Unmatched results that fit no slice; Unexplained absorbed results without any observed fault (goal 0);
	// UnexplainedBefore those that were unexplained until the first fault of the run was seen, which may be their reason.
	Retried     int `json:"retried"`
	Absorbed    int `json:"absorbed"`
	Corrected   int `json:"corrected"`
	Unmatched   int `json:"unmatched"`
	Unexplained int `json:"unexplained"`

	UnexplainedBefore int `json:"unexplained_before"`
}

// RunLatency is the time to results in seconds.
type RunLatency struct {
	// SliceResult is slice created -> winning result counted; STFComplete is STF file written -> all its results.
	SliceResult Quantiles `json:"slice_result"`
	STFComplete Quantiles `json:"stf_complete"`
}

// Quantiles of a sample in seconds; all 0, and null in JSON, when N is 0.
type Quantiles struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

// MarshalJSON writes null for the quantiles of nothing: a latency of 0 would be a claim.
func (q Quantiles) MarshalJSON() ([]byte, error) {
	if q.N == 0 {
		return []byte(`{"n":0,"p50":null,"p95":null,"max":null}`), nil
	}
	type plain Quantiles
	return json.Marshal(plain(q))
}

// RunCheck is GET /v1/runs/{run}/check: whether the accounting adds up and where every outstanding slice is.
type RunCheck struct {
	RunDocument
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"`
	// Places counts all outstanding slices by where they are; Outstanding are the first thousand of them.
	Places      map[Place]int `json:"places"`
	Outstanding []SliceRecord `json:"outstanding"`
}

// PayloadDocument is one entry of GET /v1/runs/{run}/payloads: what one version of a payload took in a run. All but Failed is of the
// slices that it has done.
type PayloadDocument struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Done    int    `json:"done"`
	// Failed counts attempts.
	Failed int `json:"failed"`
	// Seconds are those of slices, within 3 %.
	Seconds Quantiles `json:"seconds"`
	// Measured is of how many slices the rest is known: not of those without a process, nor of workers that do not tell.
	Measured   int     `json:"measured"`
	CPUSeconds float64 `json:"cpu_seconds"`
	// CPUEfficiency is the share of the time of its cores that it used; absent when nothing was measured.
	CPUEfficiency *float64 `json:"cpu_efficiency,omitempty"`
	PeakBytes     int64    `json:"peak_bytes"`
	ReadBytes     int64    `json:"read_bytes"`
	WrittenBytes  int64    `json:"written_bytes"`
}

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

// SliceRecord is one slice in the ledger.
type SliceRecord struct {
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
	Place    Place             `json:"place,omitempty"`
	Where    string            `json:"where,omitempty"`
	Failure  *Failure          `json:"failure,omitempty"`
	Attempts []AttemptDocument `json:"attempts,omitempty"`
}

// AttemptDocument is one publication of a slice and what came of it.
type AttemptDocument struct {
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
	LostAt         time.Time `json:"lost_at,omitzero"`
	FinishedAt     time.Time `json:"finished_at,omitzero"`
	ProcessingTime float64   `json:"processing_time,omitempty"`
	Failure        *Failure  `json:"failure,omitempty"`
}

// GivenUp is when the attempt was given up; zero when it was not. Stores of before have it elsewhere.
func (a *AttemptDocument) GivenUp() time.Time {
	if a.LostAt.IsZero() && a.State == "lost" {
		return a.FinishedAt
	}
	return a.LostAt
}

// WorkerPhase is where a pilot is in its life.
type WorkerPhase string

// The phases of a pilot, in order.
const (
	WorkerStarting WorkerPhase = "starting"
	WorkerRunning  WorkerPhase = "running"
	WorkerDraining WorkerPhase = "draining"
	WorkerEnded    WorkerPhase = "ended"
)

// WorkerReport is POST /v1/workers: a pilot's start report, heart-beat and last words.
type WorkerReport struct {
	PilotID   string      `json:"pilot_id" minLength:"1"`
	Namespace string      `json:"namespace"`
	RunID     string      `json:"run_id"`
	Phase     WorkerPhase `json:"phase"`
	At        time.Time   `json:"at"`
	StartedAt time.Time   `json:"started_at"`
	// HeartbeatSeconds is how often it reports; after three times as long it counts as gone.
	HeartbeatSeconds float64 `json:"heartbeat_seconds,omitempty"`
	Hostname         string  `json:"hostname"`
	PID              int     `json:"pid"`
	Version          string  `json:"version"`
	Slots            int     `json:"slots"`
	// BatchSystem and BatchID are the batch system's names for this worker, WorkerID is the harvester's; empty when started by
	// hand.
	BatchSystem string `json:"batch_system,omitempty"`
	BatchID     string `json:"batch_id,omitempty"`
	WorkerID    string `json:"worker_id,omitempty"`
	// Site is the harvester's name for the queue that the worker came through; empty when started by hand.
	Site string `json:"site,omitempty"`
	// SubmittedAt is when the harvester submitted it; ReadyAt when it could have its first slice, FirstSliceAt when it had one.
	SubmittedAt  time.Time `json:"submitted_at,omitzero"`
	ReadyAt      time.Time `json:"ready_at,omitzero"`
	FirstSliceAt time.Time `json:"first_slice_at,omitzero"`
	// AnyRun says that it was started for whichever run it finds, which is RunID once it has.
	AnyRun bool `json:"any_run,omitempty"`
	// Slot is what the pilot knows of its slot so far.
	Slot *SlotDocument `json:"slot,omitempty"`
	// LinkProven says that the broker answered (a receipt or a heart-beat) within the last interval; IdleSince when the
	// last slot became idle, absent while one is busy.
	LinkProven bool          `json:"link_proven"`
	IdleSince  time.Time     `json:"idle_since,omitzero"`
	InHand     []SliceInHand `json:"in_hand"`
	// Hold says why the pilot takes no slice for now, such as a test of the node that failed; empty while it does.
	Hold   string          `json:"hold,omitempty"`
	Totals WorkerTotals    `json:"totals"`
	Exit   *WorkerLastWord `json:"exit,omitempty"`
}

// SlotDocument is the slot of a pilot, as far as the pilot knows it.
type SlotDocument struct {
	Cores       int   `json:"cores,omitempty"`
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// EndsAt is the soonest end that is known, EndsBy says where from.
	EndsAt time.Time `json:"ends_at,omitzero"`
	EndsBy string    `json:"ends_by,omitempty"`
	// Facts are all that was found, also what did not decide.
	Facts []SlotFact `json:"facts,omitempty"`
}

// SlotFact is one thing about a slot, and where it is known from.
type SlotFact struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
	// Counts says that of all facts of this name it is the one that the pilot goes by.
	Counts bool `json:"counts"`
}

// SliceInHand is a slice that a pilot holds: received and not yet acknowledged.
type SliceInHand struct {
	Identity string    `json:"identity"`
	RunID    string    `json:"run_id"`
	Attempt  int       `json:"attempt"`
	Since    time.Time `json:"since"`
	// RunningSince is when its payload was started; zero while it waits for its turn.
	RunningSince time.Time `json:"running_since,omitzero"`
}

// WorkerTotals counts since the pilot's start. Seconds are of payloads.
type WorkerTotals struct {
	Done        int     `json:"done"`
	Failed      int     `json:"failed"`
	Released    int     `json:"released"`
	Held        int     `json:"held"`
	Junk        int     `json:"junk"`
	WallSeconds float64 `json:"wall_seconds"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	// PeakMemoryBytes is the most memory that one payload held, Processes how many it had at once.
	PeakMemoryBytes int64 `json:"peak_memory_bytes,omitempty"`
	Processes       int   `json:"processes,omitempty"`
	// Startups is how often a payload that stays between slices was started, StartupSeconds how long that took until it was ready;
	// no other time counts it.
	Startups       int     `json:"startups,omitempty"`
	StartupSeconds float64 `json:"startup_seconds,omitempty"`
	// SuspendedSeconds is how long the pilot was stopped by others (SIGSTOP); no other time counts it.
	SuspendedSeconds float64 `json:"suspended_seconds,omitempty"`
}

// WorkerLastWord says why a pilot ended.
type WorkerLastWord struct {
	Code  int    `json:"code"`
	Name  string `json:"name"`
	Class string `json:"class"`
	Cause string `json:"cause"`
	// WallSeconds is the life of the pilot; Efficiency the share of its cores' time in it that payloads used, absent when the
	// cores are not known.
	WallSeconds float64  `json:"wall_seconds,omitempty"`
	Efficiency  *float64 `json:"efficiency,omitempty"`
}

// WorkerReply answers a report: what the pilot should know about its run.
type WorkerReply struct {
	// RunState is absent while idds does not know the run.
	RunState RunState `json:"run_state,omitempty"`
	// Drain asks the pilot to finish what it holds and leave.
	Drain bool `json:"drain"`
	// At is idds' clock, by which a pilot knows how far off its own is.
	At time.Time `json:"at,omitzero"`
}

// WorkerDocument is one entry of GET /v1/workers.
type WorkerDocument struct {
	WorkerReport
	LastSeen time.Time `json:"last_seen"`
	// Alive is false when the last report is older than three heart-beats, or was the last word.
	Alive bool `json:"alive"`
}

// ActorDocument is one entry of GET /v1/actors: a program that was seen to do a duty that is idds' by its configuration.
type ActorDocument struct {
	Namespace string `json:"namespace"`
	// Duty is demand, stop or retry.
	Duty string `json:"duty"`
	// Sender is what the messages say that they are from.
	Sender string `json:"sender"`
	Count  int    `json:"count"`
	// RunID is the run of the last one.
	RunID   string    `json:"run_id"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
}

// Page is a list answer of /v1: Next is the cursor of the following page, empty at the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}
