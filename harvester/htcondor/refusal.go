package htcondor

import (
	"errors"
	"regexp"
	"strings"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// complaint is something that HTCondor's commands print when they end with an error, what it means, and what to do.
type complaint struct {
	has     string
	failure exitcode.Failure
	next    string
}

const (
	nextSchedd = "see with `condor_status -schedd` whether the schedd runs; schedd and pool in the [htcondor] table say which one is asked"
	nextRights = "`condor_ping -verbose -type schedd WRITE` shows who we are to the schedd; ask its administrator for the right to submit"
	nextLimit  = "wait for jobs to end, or lower max_workers or max_submit to what the site allows"
	nextText   = "`harvester check` tries the submit description; mend requirements and submit in the [htcondor] table"
)

// complaints are looked for in this order.
var complaints = []complaint{
	{"no space left", exitcode.SiteNoSpace, "free the disk that is named"},
	{"quota exceeded", exitcode.SiteNoSpace, "free the disk that is named"},
	{"failed to authenticate", exitcode.NoCredential, nextRights},
	{"permission denied", exitcode.NoCredential, nextRights},
	{"not authorized", exitcode.NoCredential, nextRights},
	{"would exceed max_jobs", exitcode.BatchRefused, nextLimit},
	{"can't find address", exitcode.NoBatch, nextSchedd},
	{"couldn't locate", exitcode.NoBatch, nextSchedd},
	{"unknown host", exitcode.NoBatch, nextSchedd},
	{"failed to connect", exitcode.NoBatch, nextSchedd},
	{"failed to fetch ads", exitcode.NoBatch, nextSchedd},
	{"communication error", exitcode.NoBatch, nextSchedd},
	{"(null)", exitcode.NoBatch, nextSchedd},
	{"secman:", exitcode.NoBatch, nextSchedd},
	{"cedar:", exitcode.NoBatch, nextSchedd},
}

// committing is printed when a submission went wrong at its very end: with a reason of the schedd, or with none when nobody
// knows.
const committing = "failed to commit job submission into the queue."

// none is all that condor_rm prints when there is no job to remove.
const none = "Couldn't find/remove all jobs matching constraint"

var errNone = errors.New("no such job")

var label = regexp.MustCompile(`(?m)^\s*(ERROR|Error):`)

// refusal is the error of a command that ended with one.
func refusal(command, words string) error {
	words, _, _ = strings.Cut(words, "Extra Info:") // a page of advice
	words = strings.Join(strings.Fields(label.ReplaceAllString(words, "")), " ")
	if strings.HasPrefix(words, none) {
		return exitcode.New(exitcode.NoBatch, "%s: %w", command, errNone)
	}
	lower := strings.ToLower(words)
	failure, next := exitcode.NoBatch, nextSchedd
	if command == "condor_submit" {
		failure, next = exitcode.BatchRefused, nextText
	}
	for _, c := range complaints {
		if strings.Contains(lower, c.has) {
			failure, next = c.failure, c.next
			break
		}
	}
	if _, after, ok := strings.Cut(lower, committing); ok && (failure == exitcode.NoBatch || strings.TrimSpace(after) == "") {
		return exitcode.WithNext(exitcode.New(exitcode.NoBatch, "%s: %s: %w", command, words, harvester.ErrUnclear), nextSchedd)
	}
	return exitcode.WithNext(exitcode.New(failure, "%s: %s", command, words), next)
}
