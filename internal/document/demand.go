package document

import "time"

// Demand is GET /v1/demand: how many workers each run wants now.
type Demand struct {
	At      time.Time   `json:"at"`
	Demands []RunDemand `json:"demands"`
}

// RunDemand is the wanted number of pilots of one run, with the reason in words.
type RunDemand struct {
	RunID     string   `json:"run_id"`
	Namespace string   `json:"namespace"`
	State     RunState `json:"state"`
	Wanted    int      `json:"wanted"`
	// Reason is the one sentence that decides, Reasons are all that led to it.
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons,omitempty"`
	// Sites are the parts of the sites that ask for demand by their name; absent when none does.
	Sites []SiteDemand `json:"sites,omitempty"`
	// Facts are what it rests on; absent for a run that is closed.
	Facts *DemandFacts `json:"facts,omitempty"`
}

// SiteDemand is the part of a site, the harvester's name for its queue.
type SiteDemand struct {
	Site   string `json:"site"`
	Wanted int    `json:"wanted"`
}

// DemandFacts are what a demand rests on. Times are seconds; those that are not known are absent.
type DemandFacts struct {
	// Asked is how many workers the run asked for.
	Asked           int     `json:"asked"`
	SlicesPerSecond float64 `json:"slices_per_second"`
	// Waiting slices are with no worker, Running ones are.
	Waiting int `json:"waiting"`
	Running int `json:"running"`
	// Goal is the time to results that is aimed at.
	GoalSeconds float64 `json:"goal_seconds"`
	// Processing is what a slice took lately on average, and what 95 % of them stayed below.
	ProcessingSeconds    float64 `json:"processing_seconds,omitempty"`
	ProcessingP95Seconds float64 `json:"processing_p95_seconds,omitempty"`
	// Startup is what a worker took lately from its submission until its first slice, without the time in which none waited: the median.
	StartupSeconds float64 `json:"startup_seconds,omitempty"`
	// Workers are those of the run by where they are.
	Workers []DemandWorkers `json:"workers"`
}

// DemandPoint is how the demand of a run and its workers were at a time.
type DemandPoint struct {
	At     time.Time `json:"at"`
	Wanted int       `json:"wanted"`
	// Started workers have reported and not left, Ready ones can have slices.
	Started int `json:"started"`
	Ready   int `json:"ready"`
	// Busy is how many of them the slices in hand would fill.
	Busy    float64 `json:"busy"`
	Waiting int     `json:"waiting"`
}

// DemandWorkers are the workers of a run at a site; its name is empty for those that no harvester started.
type DemandWorkers struct {
	Site     string `json:"site"`
	Starting int    `json:"starting"`
	Ready    int    `json:"ready"`
	Draining int    `json:"draining"`
	Silent   int    `json:"silent"`
	Slots    int    `json:"slots"`
}
