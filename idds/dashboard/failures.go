package dashboard

import (
	"net/http"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

type failuresPage struct {
	Run     string
	Classes []failureClass
}

// failureClass is the failures that are somebody's fault.
type failureClass struct {
	Class, Whose string
	Failures     []failureRow
	// All is the sum of them.
	All document.FailureCount
}

type failureRow struct {
	document.FailureCount

	Text, Next string
}

// failures are all ways to fail, by whose fault it was.
func (p *Pages) failures(r *http.Request, v *page) error {
	v.Title = "Failures"
	data := failuresPage{Run: r.URL.Query().Get("run")}
	v.Data = &data
	counts, err := p.cfg.Store.Failures(r.Context(), p.namespace(r), data.Run)
	for _, f := range ledger.FailureDocuments(counts) { // in the order of the classes
		last := len(data.Classes) - 1
		if last < 0 || data.Classes[last].Class != f.Class {
			data.Classes = append(data.Classes, failureClass{Class: f.Class, Whose: whose[exitcode.Class(f.Class)]})
			last++
		}
		c := &data.Classes[last]
		row := failureRow{FailureCount: f}
		row.Text, row.Next = advice(f.Name)
		c.Failures = append(c.Failures, row)
		c.All.Failed, c.All.Retrying, c.All.DoneLater = c.All.Failed+f.Failed, c.All.Retrying+f.Retrying, c.All.DoneLater+f.DoneLater
	}
	return err
}

// whose says of the classes whose fault it is.
var whose = map[exitcode.Class]string{
	exitcode.ClassPayload:        "The payload's: its author can mend it.",
	exitcode.ClassData:           "The data's: whoever makes or moves the files can mend it.",
	exitcode.ClassSite:           "The site's: its admins can mend it.",
	exitcode.ClassInfrastructure: "That of what everything stands on: broker, idds, storage.",
	exitcode.ClassCredential:     "A login or certificate's.",
	exitcode.ClassConfiguration:  "The configuration's.",
	exitcode.ClassPreempted:      "Nobody's: the batch system took the slot.",
	exitcode.ClassWalltime:       "Nobody's: the slot's time was over.",
}

// advice says what a failure of a name is, and what is to be done about it.
func advice(name string) (text, next string) {
	switch name {
	case "lost":
		return "the attempt was given up: the broker found it dead or expired, or no worker reported to hold it", "look at the worker that had it last, and at the broker's dead letters"
	case "run_timeout":
		return "there was no result when the run's time was over", "were there workers? see what was wanted, and what the harvester says"
	case "workers_down":
		return "one worker after the other fell silent with this slice in hand", "run it under `wrapper replay`: it may take its node down"
	}
	for _, f := range exitcode.Table() {
		if f.Name == name {
			return f.Text, f.Next
		}
	}
	return "", ""
}
