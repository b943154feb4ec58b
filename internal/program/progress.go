package program

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// Progress shows how far something is: one line that is rewritten on a terminal, a new line for every change of note
// otherwise.
type Progress struct {
	out      io.Writer
	terminal bool
	// Started is what the times count from.
	Started time.Time

	last   string
	lastAt time.Time
}

// quietTime is how long plain output waits between two lines of a run that goes on as before.
const quietTime = 5 * time.Second

// NewProgress shows progress on out, which may be a terminal.
func NewProgress(out io.Writer, now time.Time) *Progress {
	f, ok := out.(*os.File)
	return &Progress{out: out, terminal: ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb", Started: now}
}

// Note says something that stays.
func (p *Progress) Note(now time.Time, format string, args ...any) {
	p.Clear()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", now.Sub(p.Started).Seconds(), fmt.Sprintf(format, args...))
	p.lastAt = now
}

// Show says how far something is.
func (p *Progress) Show(now time.Time, line string) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%6.1fs  %s", now.Sub(p.Started).Seconds(), line)
		p.last = line
		return
	}
	if line != p.last && now.Sub(p.lastAt) >= quietTime {
		p.Note(now, "%s", line)
		p.last = line
	}
}

// Clear removes the rewritten line, so that what follows starts at the margin.
func (p *Progress) Clear() {
	if p.terminal && p.last != "" {
		fmt.Fprint(p.out, "\r\033[K")
		p.last = ""
	}
}

// Bar draws n of total in 20 cells.
func Bar(n, total int) string {
	const cells = 20
	full := min(cells, n*cells/total)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]"
}
