package program

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
)

// misspelt is the error of a name that there is not; it says which of those that there are was probably meant.
func misspelt(err error, typed string, names []string) error {
	if best := alike(typed, names); best != "" {
		return exitcode.WithNext(err, fmt.Sprintf("did you mean %q?", best))
	}
	return err
}

// alike is the name that differs least from what was typed: one letter, two of a longer one, or all that was left out at its end.
func alike(typed string, names []string) string {
	best, least := "", min(2, len(typed)/2)+1
	for _, name := range names {
		if d := apart(typed, name); d < least {
			best, least = name, d
		}
	}
	for _, name := range names {
		if best == "" && len(typed) > 1 && strings.HasPrefix(name, typed) {
			best = name
		}
	}
	return best
}

// apart is how many letters have to be put in, taken out, changed, or swapped with their neighbour to make one name of the other.
func apart(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		now := make([]int, len(b)+1)
		now[0] = i + 1
		for j := range len(b) {
			other := 1
			if a[i] == b[j] {
				other = 0
			}
			now[j+1] = min(now[j]+1, last[j+1]+1, last[j]+other)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last = last, now
	}
	return last[len(b)]
}

// commandNames are the names of commands that help shows.
func commandNames(commands []*cli.Command) (names []string) {
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	return names
}

// withFlag is the library's error of a flag that is not defined, with the one that was probably meant.
func withFlag(err error, flags []cli.Flag) error {
	_, typed, found := strings.Cut(err.Error(), "flag provided but not defined: -")
	if !found {
		return err
	}
	var names []string
	for _, f := range flags {
		for _, name := range f.Names() {
			if len(name) > 1 {
				names = append(names, "--"+name)
			}
		}
	}
	return misspelt(err, "--"+strings.TrimLeft(typed, "-"), names)
}
