package dashboard

import (
	"fmt"

	"tfpilot/internal/document"
	"tfpilot/internal/words"
)

// trouble is something that a shifter has to know, in words.
type trouble struct {
	// State is wrong, or slow for what may pass.
	State string
	Text  string
	// Path, and Parameters by name and value, lead to where more is said.
	Path       string
	Parameters []string
}

// troubles are what is wrong, the worst first: with the service, then with the workers, then with the run that is shown.
func troubles(v overview) []trouble {
	var wrong, slow []trouble
	for _, p := range v.Health.Parts {
		if !p.OK {
			text := p.Name + ": " + p.Details
			if !p.Since.IsZero() {
				text += " (since " + words.Clock(p.Since) + ")"
			}
			wrong = append(wrong, trouble{State: "wrong", Text: text, Path: "/components"})
		}
	}
	for _, c := range v.Components {
		if !c.Alive && c.State != "EXITED" {
			wrong = append(wrong, trouble{State: "wrong", Text: fmt.Sprintf("%s %s has not been heard of since %s", c.Role, c.Name, words.Clock(c.LastSeen)), Path: "/components"})
		}
	}
	for _, s := range v.Sites {
		if s.Silent > 0 {
			wrong = append(wrong, trouble{State: "wrong", Text: fmt.Sprintf("%s fell silent at %s", things(s.Silent, "worker"), s.Site), Path: "/workers"})
		}
		if s.Held > 0 {
			slow = append(slow, trouble{State: "slow", Text: fmt.Sprintf("%s at %s take no slices: their nodes hold them back", things(s.Held, "worker"), s.Site), Path: "/workers"})
		}
	}
	if u := v.Unannounced; u != nil {
		slow = append(slow, trouble{
			State: "slow", Text: fmt.Sprintf("results come for runs that nobody has announced, %s since %s, at last for run %s", things(u.Runs, "new number"), words.Clock(u.Since), u.RunID),
			Path: "/runs", Parameters: []string{"state", "unannounced"},
		})
	}
	if r := v.Run; r != nil {
		wrong, slow = append(wrong, ofRun(v, r)...), append(slow, passing(r)...)
	}
	return append(wrong, slow...)
}

// ofRun is what is wrong with a run.
func ofRun(v overview, r *document.BoardRun) (out []trouble) {
	if r.Waiting > 0 && v.Workers() == 0 {
		out = append(out, trouble{State: "wrong", Text: fmt.Sprintf("%s of run %s wait, and there is no worker", things(r.Waiting, "slice"), r.RunID), Path: "/demand"})
	}
	if r.Recent.N > 0 && r.Recent.P95 > document.GoalSeconds {
		out = append(out, trouble{State: "wrong", Text: fmt.Sprintf("results of run %s come late: 5 %% take longer than %s", r.RunID, words.Seconds(r.Recent.P95)), Path: "/demand"})
	}
	if n := r.Slices.Failed; n > 0 {
		out = append(out, trouble{State: "wrong", Text: fmt.Sprintf("%s of run %s failed for good", things(n, "slice"), r.RunID), Path: "/failures", Parameters: []string{"run", r.RunID}})
	}
	return out
}

// passing is what is not well with a run and may pass.
func passing(r *document.BoardRun) (out []trouble) {
	if r.Unmerged > 0 {
		out = append(out, trouble{State: "slow", Text: fmt.Sprintf("%s of run %s brought histograms that fit no others: they are not in the plots", things(r.Unmerged, "result"), r.RunID)})
	}
	if r.Slices.Unmatched > 0 {
		out = append(out, trouble{State: "slow", Text: fmt.Sprintf("%s of run %s fit no slice: they are counted, and nothing else becomes of them", things(r.Slices.Unmatched, "result"), r.RunID)})
	}
	if r.Slices.Unexplained > 0 {
		out = append(out, trouble{State: "slow", Text: fmt.Sprintf("%s of run %s came twice, for no reason that is known", things(r.Slices.Unexplained, "result"), r.RunID)})
	}
	return out
}

// things counts.
func things(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return words.Count(n) + " " + what + "s"
}
