package glance

import (
	"fmt"

	"tfpilot/internal/document"
	"tfpilot/internal/words"
)

// Trouble is something that a shifter has to know, in words.
type Trouble struct {
	// State is wrong, or slow for what may pass.
	State string
	Text  string
	// Next is what to do about it, where the text does not say it.
	Next string
	// Path, and Parameters by name and value, lead to where more is said.
	Path       string
	Parameters []string
}

// Troubles are what is wrong, the worst first: with the service, then with the workers, then with the run that is looked at, if there is one.
func Troubles(v *document.Board, r *document.BoardRun) []Trouble {
	var wrong, slow []Trouble
	for _, p := range v.Health.Parts {
		if !p.OK {
			text := p.Name + ": " + p.Details
			if !p.Since.IsZero() {
				text += " (since " + words.Clock(p.Since) + " UTC)"
			}
			wrong = append(wrong, Trouble{State: "wrong", Text: text, Next: steps[p.Name], Path: "/components"})
		}
	}
	for _, c := range v.Components {
		if !c.Alive && c.State != "EXITED" {
			wrong = append(wrong, Trouble{State: "wrong", Text: fmt.Sprintf("%s %s has not been heard of since %s UTC", c.Role, c.Name, words.Clock(c.LastSeen)), Path: "/components"})
		}
	}
	for _, s := range v.Sites {
		if s.Silent > 0 {
			wrong = append(wrong, Trouble{State: "wrong", Text: fmt.Sprintf("%s fell silent at %s", Things(s.Silent, "worker"), s.Site), Path: "/workers"})
		}
		if s.Held > 0 {
			slow = append(slow, Trouble{State: "slow", Text: fmt.Sprintf("%s at %s take no slices: their nodes hold them back", Things(s.Held, "worker"), s.Site), Path: "/workers"})
		}
	}
	if u := v.Unannounced; u != nil {
		slow = append(slow, Trouble{
			State: "slow", Text: fmt.Sprintf("results come for runs that nobody has announced, %s since %s UTC, at last for run %s", Things(u.Runs, "new number"), words.Clock(u.Since), u.RunID),
			Path: "/runs", Parameters: []string{"state", "unannounced"},
		})
	}
	if r != nil {
		wrong, slow = append(wrong, ofRun(v, r)...), append(slow, passing(r)...)
	}
	return append(wrong, slow...)
}

// steps are what to do about what the service stands on, by its name.
var steps = map[string]string{
	"store":  "What comes waits at the broker meanwhile, and nothing is lost. Look at the disk of the store, or at its server; `idds doctor` looks closer.",
	"broker": "It is tried again by itself. Does the broker run, and does this idds reach it? `idds doctor` looks closer.",
}

// ofRun is what is wrong with a run.
func ofRun(v *document.Board, r *document.BoardRun) (out []Trouble) {
	if r.Waiting > 0 && Workers(Total(v.Sites)) == 0 {
		out = append(out, Trouble{State: "wrong", Text: fmt.Sprintf("%s of run %s wait, and there is no worker", Things(r.Waiting, "slice"), r.RunID), Path: "/demand"})
	}
	if r.Recent.N > 0 && r.Recent.P95 > document.GoalSeconds {
		out = append(out, Trouble{State: "wrong", Text: fmt.Sprintf("results of run %s come late: 5 %% take longer than %s", r.RunID, words.Seconds(r.Recent.P95)), Path: "/demand"})
	}
	if n := r.Slices.Failed; n > 0 {
		out = append(out, Trouble{State: "wrong", Text: fmt.Sprintf("%s of run %s failed for good", Things(n, "slice"), r.RunID), Path: "/failures", Parameters: []string{"run", r.RunID}})
	}
	return out
}

// passing is what is not well with a run and may pass.
func passing(r *document.BoardRun) (out []Trouble) {
	if r.Unmerged > 0 {
		out = append(out, Trouble{State: "slow", Text: fmt.Sprintf("%s of run %s brought histograms that fit no others: they are not in the plots", Things(r.Unmerged, "result"), r.RunID)})
	}
	if r.Slices.Unmatched > 0 {
		out = append(out, Trouble{State: "slow", Text: fmt.Sprintf("%s of run %s fit no slice: they are counted, and nothing else becomes of them", Things(r.Slices.Unmatched, "result"), r.RunID)})
	}
	if r.Slices.Unexplained > 0 {
		out = append(out, Trouble{State: "slow", Text: fmt.Sprintf("%s of run %s came twice, for no reason that is known", Things(r.Slices.Unexplained, "result"), r.RunID)})
	}
	return out
}

// Things counts them, as in "3 slices".
func Things(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return words.Count(n) + " " + what + "s"
}
