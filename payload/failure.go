package payload

import (
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

// Failure is what a payload says of a slice that it could not do: a name of the table, and words for people.
type Failure struct {
	Name    string `json:"name"`
	Message string `json:"message,omitempty"`
}

// maxFailureBytes is where the words of a failure are cut.
const maxFailureBytes = 1000

// Err is the failure as an error of the payload named.
func (f Failure) Err(payload string) error {
	line, err := payloadfile.FailureNamed(f.Name)
	if err != nil {
		return exitcode.New(exitcode.PayloadBadResult, "%s: its result: failure.name: %w", payload, err)
	}
	if words := clean(f.Message, maxFailureBytes); words != "" {
		return exitcode.New(line, "%s: %s", payload, words)
	}
	return exitcode.New(line, "%s: %s", payload, line.Text)
}
