package top

import (
	"fmt"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/words"
)

// Line is a board in one line, for where there is no screen: the first run, the workers, and what is wrong.
func Line(b *document.Board) string {
	var said []string
	for _, part := range b.Health.Parts {
		if !part.OK {
			said = append(said, clean(part.Name+": "+part.Details))
		}
	}
	if len(b.Runs) == 0 {
		said = append(said, "no run yet")
	} else {
		r := &b.Runs[0]
		s := r.Slices
		text := fmt.Sprintf("run %s %s: STFs %s, slices %s, done %s, waiting %s, running %s, failed %s", clean(r.RunID), clean(string(r.State)), words.Count(r.STFs), words.Count(s.Published),
			words.Count(s.Done), words.Count(r.Waiting), words.Count(r.Running), words.Count(s.Failed))
		if q := r.Recent; q.N > 0 {
			text += fmt.Sprintf(", to result %s, p95 %s, %.1f/s", words.Seconds(q.P50), words.Seconds(q.P95), r.ResultsPerSecond)
		}
		said = append(said, text)
	}
	workers, busy, slots := 0, 0, 0
	for _, site := range b.Sites {
		workers, busy, slots = workers+site.Starting+site.Running+site.Draining, busy+site.Busy, slots+site.Slots
	}
	said = append(said, fmt.Sprintf("workers %d, slots busy %d of %d", workers, busy, slots))
	return b.At.UTC().Format(time.TimeOnly) + "  " + strings.Join(said, "; ")
}
