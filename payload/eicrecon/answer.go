package eicrecon

import (
	"encoding/json"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
)

// request is what a daemon is asked.
type request struct {
	InputFile  string `json:"input_file"`
	OutputFile string `json:"output_file"`
	Skip       int64  `json:"nskip"`
	Events     int    `json:"nevents"`
}

// reply is what it answers.
type reply struct {
	Status     string `json:"status"`
	Message    string `json:"message"`
	OutputFile string `json:"output_file"`
	Events     *int   `json:"events_processed"`
}

// meaning is that of a daemon's error with a text in it.
type meaning struct {
	text string
	exitcode.Failure
}

// meanings are those that are known; what the payload's TOML says of such a text goes before them.
var meanings = []meaning{
	{"No space left on device", exitcode.SiteNoSpace},
	{"Invalid JSON", exitcode.Internal},
	{"Request must contain", exitcode.Internal},
	{"Input file does not exist", exitcode.DataMissing},
	{"Failed to create writer", exitcode.SiteNoSpace},
	{"Problem opening file", exitcode.DataCorrupt},
}

// judge is the meaning of a reply: nil when the slice is done. sound says that the daemon may be asked again: it knows what it does.
func (p *Payload) judge(text []byte, asked request) (sound bool, err error) {
	name := p.spec.Name
	var said reply
	if err := json.Unmarshal(text, &said); err != nil {
		return false, exitcode.New(exitcode.PayloadBadResult, "%s: its reply %.80q: %w", name, text, err)
	}
	switch {
	case said.Status == "error":
		f := exitcode.PayloadFailed
		i := slices.IndexFunc(meanings, func(m meaning) bool { return strings.Contains(said.Message, m.text) })
		if i >= 0 {
			f = meanings[i].Failure
		}
		if line, ok := p.spec.Failures.Printed(said.Message); ok {
			f = line
		}
		return i >= 0, exitcode.New(f, "%s: %.300s", name, oneLine(said.Message))
	case said.Status != "completed":
		return false, exitcode.New(exitcode.PayloadBadResult, "%s: its reply has status %.40q", name, said.Status)
	case said.OutputFile != asked.OutputFile:
		return false, exitcode.New(exitcode.PayloadBadResult, "%s: its reply is for %.200q, not %s", name, said.OutputFile, asked.OutputFile)
	case said.Events == nil:
		return false, exitcode.New(exitcode.PayloadBadResult, "%s: its reply does not say how many events there were", name)
	case *said.Events == 0:
		return true, exitcode.New(exitcode.DataRange, "%s: %s has no events from %d on", name, asked.InputFile, asked.Skip)
	case *said.Events != asked.Events:
		// The file ends before, or events were lost on their way out: it says that it is done when the last one has been read.
		return false, exitcode.New(exitcode.PayloadBadResult, "%s: %d events were processed, not the %d from %d on that were asked for", name, *said.Events,
			asked.Events, asked.Skip)
	}
	return true, nil
}

// oneLine is a text that steers no terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
