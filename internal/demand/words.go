package demand

import (
	"fmt"
	"time"

	"tfpilot/internal/words"
)

// count is a number with its noun.
func count(n int, noun string) string { return are(n, noun, "", "") }

// are is a number with its noun and what they do.
func are(n int, noun, one, many string) string {
	plural, does := "s", many
	if n == 1 {
		plural, does = "", one
	}
	if does != "" {
		does = " " + does
	}
	return words.Count(n) + " " + noun + plural + does
}

// lasting is a time that somebody has set, for people: whole seconds, minutes and hours as such.
func lasting(d time.Duration) string {
	switch {
	case d >= time.Hour && d < 48*time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute && d < time.Hour && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d > 0 && d < 2*time.Minute && d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return words.Seconds(d.Seconds())
}

// coming is how many slices come, in the unit in which that is a number to imagine.
func coming(perSecond float64) string {
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{1, "second"}, {60, "minute"}, {3600, "hour"}} {
		if n := perSecond * unit.seconds; n >= 10 {
			return fmt.Sprintf("%.0f slices come in %s", n, article(unit.name))
		} else if n >= 1 {
			return fmt.Sprintf("%.1f slices come in %s", n, article(unit.name))
		}
	}
	return "Hardly any slice comes"
}

func article(unit string) string {
	if unit == "hour" {
		return "an hour"
	}
	return "a " + unit
}

// slotsOf is a number of slots that work keeps busy.
func slotsOf(n float64) string {
	if n >= 9.95 {
		return fmt.Sprintf("%.0f slots", n)
	}
	return fmt.Sprintf("%.1f slots", n)
}

func standby(r *Run) string {
	if r.Paused {
		return "The detector stands by, and no slice comes"
	}
	return "No slice comes"
}

func readyOf(workers []Workers) (n int) {
	for _, w := range workers {
		n += w.Ready
	}
	return n
}

func lost(workers []Workers) (n int) {
	for _, w := range workers {
		n += w.Silent
	}
	return n
}
