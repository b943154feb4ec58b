package document

import "time"

// The time from data taken to result that the experiment aims at, for 95 % of the slices: now, and later.
const (
	GoalSeconds = 30.0
	AimSeconds  = 10.0
)

// Board is GET /v1/board, and the event "board" of GET /v1/events: what is to be seen at a glance of a namespace.
type Board struct {
	At        time.Time `json:"at"`
	Namespace string    `json:"namespace"`
	Health    Health    `json:"health"`
	// Runs are those that are open or ending, and those that were closed last, the latest first; 10 at most.
	Runs []BoardRun `json:"runs"`
	// Sites are the workers by where they run.
	Sites []BoardSite `json:"sites"`
	// Components are the programs that say of themselves that they are alive, but for pilots, which Sites count; 100 at most.
	Components []Component `json:"components"`
	// Unannounced is what came lately of runs that nobody has announced; absent when nothing did.
	Unannounced *BoardUnannounced `json:"unannounced,omitempty"`
}

// BoardUnannounced are runs of which only results came.
type BoardUnannounced struct {
	// Runs is how many numbers came for the first time since Since; RunID is the latest of all, and LastAt when that was.
	Runs   int       `json:"runs"`
	RunID  string    `json:"run_id"`
	Since  time.Time `json:"since"`
	LastAt time.Time `json:"last_at"`
}

// BoardRun is a run on the board.
type BoardRun struct {
	Run

	// STFs is how many super time frames were taken; by the detector's word, or by the slices' where it says nothing.
	STFs int `json:"stfs"`
	// Waiting slices are on the queue or wait for another attempt, Running are with a worker.
	Waiting int `json:"waiting"`
	Running int `json:"running"`
	// ResultsPerSecond is of the last 10 s.
	ResultsPerSecond float64 `json:"results_per_second"`
	// Recent is the time from data taken to result (s) of the results of the last 30 s, History the same over the run's time.
	Recent  Quantiles      `json:"recent"`
	History []BoardLatency `json:"history"`
	// Failures are all ways in which slices of it have failed.
	Failures []FailureCount `json:"failures"`
	Demand   *RunDemand     `json:"demand,omitempty"`
	// HistogramsAt grows whenever the run's merged histograms have changed.
	HistogramsAt int64 `json:"histograms_at"`
}

// BoardLatency is one interval of a run's history of results.
type BoardLatency struct {
	// At is the interval's begin; its length is the distance to the next one.
	At   time.Time `json:"at"`
	Done int       `json:"done"`
	P50  float64   `json:"p50"`
	P95  float64   `json:"p95"`
	// Outstanding is how many slices there were at its end that were neither done nor failed for good.
	Outstanding int `json:"outstanding"`
}

// BoardSite is the workers of a site. A site is the harvester's name for it, or the host of workers without one.
type BoardSite struct {
	Site string `json:"site"`
	// Workers by phase (starting, running, draining), and those that fell silent.
	Starting int `json:"starting"`
	Running  int `json:"running"`
	Draining int `json:"draining"`
	Silent   int `json:"silent"`
	// Held are those that take no slice for now, such as after a test of the node that failed.
	Held int `json:"held"`
	// Slots are those of living workers, Busy as many of them as have a payload running.
	Slots int `json:"slots"`
	Busy  int `json:"busy"`
	// Efficiency is the share of the slots' time that payloads had, since the workers' start; absent while nothing is known of it.
	Efficiency *float64 `json:"efficiency,omitempty"`
}
