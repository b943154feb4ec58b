package testbed

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"tfpilot/internal/message"
)

// progress shows how far a run is: one line that is rewritten on a terminal, a new line for every change of note
// otherwise.
type progress struct {
	out      io.Writer
	terminal bool
	started  time.Time
	last     string
	lastAt   time.Time
}

// quietTime is how long plain output waits between two lines of a run that goes on as before.
const quietTime = 5 * time.Second

func newProgress(out io.Writer, now time.Time) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && isatty.IsTerminal(f.Fd()), started: now}
}

// note says something that stays.
func (p *progress) note(now time.Time, format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", now.Sub(p.started).Seconds(), fmt.Sprintf(format, args...))
	p.lastAt = now
}

// show says how far the run is.
func (p *progress) show(now time.Time, taken, planned int, run message.RunDocument, pilots int) {
	s := run.Slices
	line := fmt.Sprintf("STFs %d/%d  slices %d: done %d, failed %d, to do %d  %s  pilots %d  events %d",
		taken, planned, s.Published, s.Done, s.Failed, s.Outstanding, bar(s.Done+s.Failed, max(1, s.Published)), pilots, run.Counts["events"])
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%6.1fs  %s", now.Sub(p.started).Seconds(), line)
		p.last = line
		return
	}
	if line != p.last && now.Sub(p.lastAt) >= quietTime {
		p.note(now, "%s", line)
		p.last = line
	}
}

// clear removes the rewritten line, so that what follows starts at the margin.
func (p *progress) clear() {
	if p.terminal && p.last != "" {
		fmt.Fprint(p.out, "\r\033[K")
		p.last = ""
	}
}

// bar draws n of total in 20 cells.
func bar(n, total int) string {
	const cells = 20
	full := min(cells, n*cells/total)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]"
}
