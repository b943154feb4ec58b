package top

import (
	"fmt"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/glance"
	"tfpilot/internal/words"
)

// Line is a board in one line, for where there is no screen: the first run, the workers, and what is wrong.
func Line(b *document.Board) string {
	var said []string
	var first *document.BoardRun
	if len(b.Runs) > 0 {
		first = &b.Runs[0]
	}
	for _, t := range glance.Troubles(b, first) {
		said = append(said, clean(t.Text))
	}
	if first == nil {
		said = append(said, "no run yet")
	} else {
		r := first
		s := r.Slices
		text := fmt.Sprintf("run %s %s: STFs %s, slices %s, done %s, waiting %s, running %s, failed %s", clean(r.RunID), clean(string(r.State)), words.Count(r.STFs), words.Count(s.Published),
			words.Count(s.Done), words.Count(r.Waiting), words.Count(r.Running), words.Count(s.Failed))
		if q := r.Recent; q.N > 0 {
			text += fmt.Sprintf(", to result %s, p95 %s, %.1f/s", words.Seconds(q.P50), words.Seconds(q.P95), r.ResultsPerSecond)
		}
		said = append(said, text)
	}
	all := glance.Total(b.Sites)
	said = append(said, fmt.Sprintf("workers %d, slots busy %d of %d", glance.Workers(all), all.Busy, all.Slots))
	return b.At.UTC().Format(time.TimeOnly) + "  " + strings.Join(said, "; ")
}
