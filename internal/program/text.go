package program

import (
	"strings"
	"time"
	"unicode"
)

// Printable keeps the words of others from steering the terminal: on one line.
func Printable(s string) string { return printable(s, "") }

// PrintableLines is Printable for a text of several lines.
func PrintableLines(s string) string { return printable(s, "\t\n") }

func printable(s, kept string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !strings.ContainsRune(kept, r) {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
}

// Seconds are seconds as people read them.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d > time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}
