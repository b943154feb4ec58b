package document

import (
	"encoding/json"
	"time"
)

// RunState is how far a run is in the eyes of idds.
type RunState string

// The states of a run: nobody has said that there is one, only results of it came; slices may come; the end is announced; nothing more
// will happen.
const (
	RunUnannounced RunState = "unannounced"
	RunOpen        RunState = "open"
	RunEnding      RunState = "ending"
	RunClosed      RunState = "closed"
)

// RunStates are all of them.
func RunStates() []RunState { return []RunState{RunUnannounced, RunOpen, RunEnding, RunClosed} }

// KnownRuns are the states of runs of which somebody has said that there are.
func KnownRuns() []RunState { return []RunState{RunOpen, RunEnding, RunClosed} }

// Run is GET /v1/runs/{run}.
type Run struct {
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
	Detector *Detector `json:"detector,omitempty"`
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
	Run
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"`
	// Places counts all outstanding slices by where they are; Outstanding are the first thousand of them.
	Places      map[Place]int `json:"places"`
	Outstanding []Slice       `json:"outstanding"`
}

// Payload is one entry of GET /v1/runs/{run}/payloads: what one version of a payload took in a run. All but Failed is of the
// slices that it has done.
type Payload struct {
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
