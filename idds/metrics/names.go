package metrics

import (
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

const (
	// mostSites and mostRuns bound what is told apart.
	mostSites = 100
	mostRuns  = 20
	// longest is of a label that others have written.
	longest = 100
	// other is what is one too many, or not known.
	other = "other"
)

// label is a text of others as a label: Prometheus refuses a whole scrape for a byte that is no UTF-8.
func label(text string) string { return message.Cut(text, longest) }

// names are the first so many that came; all further ones are other.
type names struct {
	most  int
	known map[string]bool
}

func (n *names) of(text string) string {
	text = label(text)
	if n.known[text] {
		return text
	}
	if len(n.known) >= n.most {
		return other
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[text] = true
	return text
}

// failures are the names and classes of failures that there are: those of the table, and those that the ledger gives.
var failureNames, failureClasses = func() (names, classes map[string]bool) {
	names, classes = map[string]bool{"lost": true, "workers_down": true, "run_timeout": true}, map[string]bool{}
	for _, f := range exitcode.Table() {
		names[f.Name], classes[string(f.Class)] = true, true
	}
	return names, classes
}()

// failure is how one is counted: what a peer calls it is other.
func failure(class, name string) (string, string) {
	if !failureClasses[class] {
		class = other
	}
	if !failureNames[name] {
		name = other
	}
	return class, name
}
