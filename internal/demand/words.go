package demand

import (
	"fmt"
	"time"
)

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// are is a number with its noun and what they do.
func are(n int, noun, one, many string) string {
	if n == 1 {
		return "1 " + noun + " " + one
	}
	return fmt.Sprintf("%d %ss %s", n, noun, many)
}

// rounded is a time for people.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	default:
		return d.Round(time.Millisecond)
	}
}

func standby(r *Run) string {
	if r.Paused {
		return ", the detector stands by"
	}
	return ""
}

func ready(workers []Workers) string {
	n := 0
	for _, w := range workers {
		n += w.Ready
	}
	return count(n, "ready worker")
}

func lost(workers []Workers) (n int) {
	for _, w := range workers {
		n += w.Silent
	}
	return n
}
