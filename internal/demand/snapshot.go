package demand

import (
	"time"

	"tfpilot/internal/document"
)

// Snapshot is all that a decision rests on.
type Snapshot struct {
	Now   time.Time
	Runs  []Run
	Sites []Site
}

// Run is a run as it stands.
type Run struct {
	Namespace, ID string
	State         document.RunState
	// Since is when workers were asked for, or the run was heard of first; zero when nobody knows.
	Since   time.Time
	Request Request
	// Paused says that the detector stands by.
	Paused  bool
	Arrived Arrived
	// Waiting slices are with no worker, Running ones are.
	Waiting, Running int
	// Announced are slices that are known to come, or -1 when nobody has said how many the run has.
	Announced int
	// Processing is what a slice takes, Startup what a worker takes from its submission to its first slice, when one waits.
	Processing, Startup Took
	Workers             []Workers
	Before              Memory
}

// Request is what was asked for, by run_imminent or by a workflow task.
type Request struct {
	Workers int
	// Fixed says that no other number is to be wanted while the run is open: somebody else decides.
	Fixed bool
	// Closed says that a fixed request was taken back.
	Closed bool
	// ProcessingTime, RampUp (the time that a worker takes to start) and RampDown are the producer's guesses, 0 when it made none.
	ProcessingTime, RampUp, RampDown time.Duration
}

// Arrived is how slices come.
type Arrived struct {
	// Any says that one has come.
	Any       bool
	PerSecond float64
	// Spread is how far that may be off by chance: one standard deviation.
	Spread float64
	// Uneven is how unevenly they come: the variance of how many come in a while by their mean, 1 when they come by chance one by one.
	Uneven float64
	LastAt time.Time
}

// Took is how long something took lately: the mean and its standard deviation, the median, and what 95 % stay below. N is of how many
// that is known.
type Took struct {
	N                          int
	Mean, Spread, Median, High time.Duration
}

// Workers are those of a run at one site.
type Workers struct {
	Site string
	// Starting ones have reported, and can have no slice yet; Silent ones have stopped to report without a last word.
	Starting, Ready, Draining, Silent int
	// Slots are those of the ready ones.
	Slots int
}

// Site is a place where workers can run.
type Site struct {
	Name string
	// Max is how many workers it lets us have, any number when 0.
	Max int
	// Cost is what a worker costs there, against those of other sites.
	Cost float64
}

// Memory is what was decided before. A run without one is new.
type Memory struct {
	Wanted int
	// More is since when more are needed than are wanted; zero when they are not.
	More time.Time
	// Needs are how many were needed lately.
	Needs []Need
}

// Need is how many workers were needed at a time.
type Need struct {
	At      time.Time
	Workers float64
}
