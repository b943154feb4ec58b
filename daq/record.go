package daq

import "tfpilot/internal/runplan"

// Record is one thing that a journal remembers: exactly one of its fields is set.
type Record struct {
	Plan *runplan.Plan `json:"plan,omitempty"`
	// Step is a step that is over.
	Step *int `json:"step,omitempty"`
	// STF is a file that is complete, before anybody is told.
	STF *runplan.STF `json:"stf,omitempty"`
	// Announced is the sequence of an STF whose messages are out, all but the slices.
	Announced int `json:"announced,omitempty"`
	// Published is a slice that the broker has confirmed.
	Published string `json:"published,omitempty"`
	// Result is a verdict on a slice, before its message is acknowledged.
	Result *Verdict `json:"result,omitempty"`
	// Ended is the number of slices that end_run announced.
	Ended *int `json:"ended,omitempty"`
}

// Journal is the memory of one run: each record is written before anything follows from it. It is used by several goroutines.
type Journal interface {
	// Run is the run that the journal is of.
	Run() string
	// Records are what was there when it was opened, in order.
	Records() []Record
	// Append returns nil when the record survives the death of this process; after an error nothing is left of it.
	Append(r Record) error
}
