package fitness

import (
	"context"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
)

// Node tells whether this node is fit to work on slices.
type Node interface {
	// Test looks at everything, each test within a time of its own, and returns one finding for each. Calm says that payloads are
	// at work beside it: what it starts has the lowest priority then.
	Test(ctx context.Context, calm bool) []Finding
}

// Verdict is what a test of the node comes to.
type Verdict string

// The verdicts. Only a bad one keeps a pilot from work.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Bad     Verdict = "bad"
	// Unknown is of a test that could not tell.
	Unknown Verdict = "unknown"
	// NotNeeded is of something that is not as it should be, but that nobody has asked for.
	NotNeeded Verdict = "not needed"
)

// Finding is what one test found.
type Finding struct {
	Test    string  `json:"test"`
	Verdict Verdict `json:"verdict"`
	Found   string  `json:"found"`
	// Next is what to do about it.
	Next string `json:"next,omitempty"`
	// Failure is the name of a bad one in the table of exit codes.
	Failure string  `json:"failure,omitempty"`
	Seconds float64 `json:"seconds"`
}

// unfit is why a bad node is left.
func unfit(bad []Finding, hold time.Duration) error {
	err := exitcode.New(exitcode.NodeUnfit, "the node was not fit for %s: %s", hold, summary(bad))
	if bad[0].Next == "" {
		return err
	}
	return exitcode.WithNext(err, bad[0].Next)
}

func summary(bad []Finding) string {
	texts := make([]string, len(bad))
	for i, f := range bad {
		texts[i] = f.Test + ": " + f.Found
	}
	return strings.Join(texts, "; ")
}
