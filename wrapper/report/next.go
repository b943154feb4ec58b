package report

import (
	"fmt"

	"tfpilot/internal/exitcode"
)

// MaxAttempts and MaxReleases are the defaults of idds and of pilots.
const (
	MaxAttempts = 3
	MaxReleases = 3
)

// Next is what a pilot, and idds after it, would have done with a slice whose attempt ended so.
func Next(f exitcode.Failure, attempt int) string {
	switch f.Fate() {
	case exitcode.FateBack:
		return "a pilot gives the slice back uncounted, for another slot"
	case exitcode.FateRest:
		return fmt.Sprintf("a pilot gives the slice back uncounted, for another slot, and lets this one rest; it publishes it as failed only when it had it %d times",
			MaxReleases)
	case exitcode.FateResult:
	}
	switch {
	case f == exitcode.OK:
		return "a pilot publishes the result as done and takes the next slice"
	case !f.Retryable:
		return "a pilot publishes the result as failed and takes the next slice; the slice stays failed, because it is not worth another attempt"
	case attempt >= MaxAttempts:
		return fmt.Sprintf("a pilot publishes the result as failed and takes the next slice; the slice stays failed, because it was attempt %d of %d",
			attempt, MaxAttempts)
	default:
		return fmt.Sprintf("a pilot publishes the result as failed and takes the next slice; idds sends this one again, as attempt %d of %d",
			attempt+1, MaxAttempts)
	}
}
