package ledger

import (
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
)

// StoreFacts are what an examination wants to know of a store that is intact and can be written.
type StoreFacts struct {
	Schema       int
	Bytes        int64
	Runs, Slices int
	Namespaces   []string
	// PeakRate is the most results per second over ten seconds, LongestHold the longest time that a worker had a slice, both of
	// the latest hundred thousand slices.
	PeakRate    float64
	LongestHold time.Duration
	// Workers are those that reported in the last day.
	Workers []document.Worker
	// Tokens are all that were made, without their secrets.
	Tokens []access.Token
	// Actors are the programs that were seen to do a duty of idds.
	Actors []document.Actor
}
