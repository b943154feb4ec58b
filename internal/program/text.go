package program

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// steers reports whether a terminal obeys a letter in place of showing it, or shows what follows in another order or line.
func steers(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// Printable keeps the words of others from steering the terminal: on one line.
func Printable(s string) string { return printable(s, "") }

// PrintableLines is Printable for a text of several lines.
func PrintableLines(s string) string { return printable(s, "\t\n") }

func printable(s, kept string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) && !strings.ContainsRune(kept, r) {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
}

// JSON is what writes documents whose texts are of others: what would steer a terminal is written as its number. encoding/json does that
// for some of it.
func JSON(w io.Writer) *json.Encoder { return json.NewEncoder(numbered{w}) }

// numbered is given whole documents, in which such letters can only be within texts.
type numbered struct{ w io.Writer }

// Write writes JSON.
func (n numbered) Write(b []byte) (int, error) {
	if !strings.ContainsFunc(string(b), func(r rune) bool { return steers(r) && r != '\n' }) {
		return n.w.Write(b)
	}
	var out strings.Builder
	for _, r := range string(b) {
		if steers(r) && r != '\n' {
			fmt.Fprintf(&out, "\\u%04x", r)
		} else {
			out.WriteRune(r)
		}
	}
	_, err := io.WriteString(n.w, out.String())
	return len(b), err
}

// Seconds are seconds as people read them.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d > time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}
