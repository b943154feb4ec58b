package document

import (
	"time"
)

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
	Slot *Slot `json:"slot,omitempty"`
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

// longestBeat is the most time between two reports that is believed: who says more would never be missed.
const longestBeat = time.Hour

// SilentAfter is after how long without a report a pilot counts as gone: three of its heart-beats, or otherwise, when it does not say
// how often it reports.
func (w *WorkerReport) SilentAfter(otherwise time.Duration) time.Duration {
	if !(w.HeartbeatSeconds > 0) { // nor NaN
		return otherwise
	}
	return time.Duration(3 * min(w.HeartbeatSeconds, longestBeat.Seconds()) * float64(time.Second))
}

// Busy is how many of a pilot's slots have a payload running: what it has in hand beside may wait for its turn.
func (w *WorkerReport) Busy() (n int) {
	for i := range w.InHand {
		if !w.InHand[i].RunningSince.IsZero() {
			n++
		}
	}
	return min(n, max(0, w.Slots))
}

// SlotTime is for how many seconds payloads had a pilot's slots until it reported, and for how many it had them. Both are by its own clock.
func (w *WorkerReport) SlotTime() (used, had float64) {
	if w.StartedAt.IsZero() {
		return w.Totals.WallSeconds, 0
	}
	had = float64(max(0, w.Slots)) * max(0, w.At.Sub(w.StartedAt).Seconds()-w.Totals.SuspendedSeconds)
	used = w.Totals.WallSeconds
	for i := range w.InHand {
		if since := w.InHand[i].RunningSince; !since.IsZero() {
			used += max(0, w.At.Sub(since).Seconds())
		}
	}
	return used, had
}

// Slot is the slot of a pilot, as far as the pilot knows it.
type Slot struct {
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
	// Stay asks a pilot that was started for whichever run it finds to wait for the next one: it does not leave when its run is over,
	// and while it has none no idle time counts.
	Stay bool `json:"stay,omitempty"`
	// At is idds' clock, by which a pilot knows how far off its own is.
	At time.Time `json:"at,omitzero"`
}

// Worker is one entry of GET /v1/workers.
type Worker struct {
	WorkerReport
	LastSeen time.Time `json:"last_seen"`
	// Alive is false when the last report is older than three heart-beats, or was the last word.
	Alive bool `json:"alive"`
}
