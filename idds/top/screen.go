package top

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/glance"
	"tfpilot/internal/words"
)

// Pane is what the lower part of the screen shows.
type Pane int

// The panes.
const (
	Overview Pane = iota
	Failures
	Workers
	Help
)

// State is all that is on the screen.
type State struct {
	Board *document.Board // nil before the first one
	// Away is since when idds does not answer, and Why; zero while it does.
	Away    time.Time
	Why     string
	Now     time.Time
	Run     int // the chosen one
	Pane    Pane
	Workers []document.Worker
	Width   int
	Height  int
	Colours bool
	// ASCII says that the terminal shows no other characters.
	ASCII bool
}

// runRows is how many runs are listed at most, so that there is room for the rest.
const runRows = 5

// Screen is what is to be seen, Height lines of Width columns at most.
func Screen(s State) string {
	p := &page{State: s}
	p.head()
	switch {
	case s.Pane == Help:
		p.help()
	case s.Board == nil && s.Away.IsZero():
		p.line("waiting for idds ...")
	case s.Board == nil:
	case len(s.Board.Runs) == 0:
		p.line("no run yet; what comes is shown here")
		p.line("")
		p.sites()
	default:
		p.runs()
		run := &s.Board.Runs[min(s.Run, len(s.Board.Runs)-1)]
		switch s.Pane {
		case Failures:
			p.failures(run, p.left(), "the page of failures has them")
		case Workers:
			p.workers()
		case Overview, Help:
			p.run(run)
			p.sites()
		}
	}
	return p.text()
}

// Text is a board as a text that is read once: all of it, however long.
func Text(b *document.Board, width int, ascii bool) string {
	p := &page{State: State{Board: b, Now: b.At, Width: width, Height: 1000, ASCII: ascii}}
	p.head()
	if len(b.Runs) == 0 {
		p.line("no run yet")
		p.line("")
	} else {
		p.runs()
		p.run(&b.Runs[0])
	}
	p.sites()
	return p.joined()
}

// page gathers lines.
type page struct {
	State

	lines []string
}

func (p *page) line(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

// narrow reports whether there is room for the columns that matter most alone.
func (p *page) narrow() bool { return p.Width < 76 }

// left is how many lines there is room for, beside the last one.
func (p *page) left() int { return max(0, p.Height-1-len(p.lines)) }

func (p *page) style(code, text string) string {
	if !p.Colours || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// The styles of lines: codes of a terminal.
const (
	bold, faint, red, reverse = "1", "2", "1;31", "7"
)

// styled is a line in a style, cut before that: a cut must not lose the end of it.
func (p *page) styled(code, format string, args ...any) {
	p.lines = append(p.lines, p.style(code, cut(fmt.Sprintf(format, args...), p.Width)))
}

// text is the screen. What is not styled is cut here.
func (p *page) text() string {
	if most := max(1, p.Height-1); len(p.lines) > most {
		p.lines = p.lines[:most]
	}
	for len(p.lines) < p.Height-1 {
		p.lines = append(p.lines, "")
	}
	if p.Height <= 1 {
		return cut(p.lines[0], p.Width)
	}
	p.styled(faint, "q quit  ↑↓ run  f failures  w workers  o overview  ? help")
	return p.joined()
}

// joined are all lines, cut where they are not styled, and thus were before.
func (p *page) joined() string {
	for i, l := range p.lines {
		if !strings.Contains(l, "\x1b[") {
			p.lines[i] = cut(l, p.Width)
		}
	}
	text := strings.Join(p.lines, "\n")
	if p.ASCII {
		text = plain(text)
	}
	return text
}

func (p *page) head() {
	where := "idds"
	if p.Board != nil {
		where += "  " + clean(p.Board.Namespace)
	}
	p.styled(bold, "%s  %s UTC", where, p.Now.UTC().Format(time.TimeOnly))
	switch {
	case !p.Away.IsZero():
		p.styled(red, "idds has not answered for %s; what is shown is of before: %s", p.Now.Sub(p.Away).Round(time.Second), clean(p.Why))
	case p.Board != nil:
		p.troubles()
	}
	p.line("")
}

// troubles are what is wrong, as many as leave room for the rest.
func (p *page) troubles() {
	var run *document.BoardRun
	if n := len(p.Board.Runs); n > 0 {
		run = &p.Board.Runs[min(p.Run, n-1)]
	}
	list := glance.Troubles(p.Board, run)
	if len(list) == 0 {
		p.line("all is well: store and broker answer, results are taken in as they come")
	}
	most := max(1, p.Height/8)
	for i, t := range list {
		if i == most-1 && len(list) > most && most > 1 {
			p.styled(red, "and %d more things are wrong", len(list)-i)
			return
		}
		if i == most {
			return
		}
		code := red
		if t.State != "wrong" {
			code = bold
		}
		p.styled(code, "%s", clean(t.Text))
	}
}

func (p *page) runs() {
	if p.narrow() {
		p.styled(bold, "  %-10s %-6s %7s %5s %6s", "RUN", "STATE", "DONE", "LEFT", "FAILED")
	} else {
		p.styled(bold, "  %-14s %-7s %5s %9s %8s %8s %7s %7s", "RUN", "STATE", "STFs", "DONE", "WAITING", "RUNNING", "FAILED", "p95")
	}
	list := p.Board.Runs
	chosen := min(p.Run, len(list)-1)
	first := max(0, min(chosen-runRows/2, len(list)-runRows))
	for i := first; i < min(len(list), first+runRows); i++ {
		r, mark, code := &list[i], " ", ""
		if i == chosen {
			mark, code = ">", reverse
		}
		if p.narrow() {
			p.styled(code, "%s %-10s %-6s %7s %5s %6s", mark, cut(clean(r.RunID), 10), clean(string(r.State)), words.Count(r.Slices.Done), words.Count(r.Slices.Outstanding), words.Count(r.Slices.Failed))
			continue
		}
		p.styled(code, "%s %-14s %-7s %5s %9s %8s %8s %7s %7s", mark, cut(clean(r.RunID), 14), clean(string(r.State)), words.Count(r.STFs), words.Count(r.Slices.Done), words.Count(r.Waiting),
			words.Count(r.Running), words.Count(r.Slices.Failed), late(r))
	}
	p.line("")
}

// late is how late results of the last seconds are, of a run that is over all of them.
func late(r *document.BoardRun) string {
	q := r.Recent
	if r.State == document.RunClosed {
		q = r.Latency.SliceResult
	}
	if q.N == 0 {
		return "-"
	}
	return words.Seconds(q.P95)
}

func (p *page) run(r *document.BoardRun) {
	s := r.Slices
	cells := max(10, min(40, p.Width-26))
	done, ended := share(s.Done, s.Published, cells), share(s.Done+s.Failed, s.Published, cells)
	p.line("slices   [%s%s%s] %s of %s", strings.Repeat("#", done), strings.Repeat("!", ended-done), strings.Repeat(".", cells-ended), words.Count(s.Done), words.Count(s.Published))
	now := "no result in the last 30 s"
	if q := r.Recent; q.N > 0 {
		now = fmt.Sprintf("now %s, p95 %s, slowest %s; %.1f results/s", words.Seconds(q.P50), words.Seconds(q.P95), words.Seconds(q.Max), r.ResultsPerSecond)
	} else if q := r.Latency.SliceResult; r.State == document.RunClosed && q.N > 0 {
		now = fmt.Sprintf("from the slice on, over the run: %s, p95 %s, slowest %s", words.Seconds(q.P50), words.Seconds(q.P95), words.Seconds(q.Max))
	}
	code := ""
	if r.Recent.N > 0 && r.Recent.P95 > document.GoalSeconds {
		code = red
	}
	p.styled(code, "to result  %s", now)
	if line := sparks(r.History, max(10, p.Width-22)); line != "" {
		p.line("p95 over   %s %s", line, scale(r.History))
	}
	if d := r.Demand; d != nil {
		p.line("demand     %s: %s", glance.Things(d.Wanted, "worker"), clean(d.Reason))
	}
	if d := r.Detector; d != nil {
		p.line("detector   %s since %s", clean(strings.TrimSpace(d.State+" "+d.Substate)), d.Since.UTC().Format(time.TimeOnly))
	}
	p.line("")
	p.failures(r, 3, "f shows them")
}

func share(n, of, cells int) int {
	if of <= 0 || n <= 0 {
		return 0
	}
	return min(cells, n*cells/of)
}

// blocks are eight heights.
var blocks = []rune("▁▂▃▄▅▆▇█")

// sparks are the p95 of the latest intervals, each a block.
func sparks(history []document.BoardLatency, width int) string {
	history = history[max(0, len(history)-width):]
	top := highest(history)
	var b strings.Builder
	for _, h := range history {
		if h.Done == 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(blocks[min(len(blocks)-1, int(h.P95/top*float64(len(blocks))))])
	}
	return b.String()
}

func highest(history []document.BoardLatency) float64 {
	top := document.AimSeconds
	for _, h := range history {
		top = math.Max(top, h.P95)
	}
	return top
}

// scale says what the highest block is.
func scale(history []document.BoardLatency) string {
	return fmt.Sprintf("█=%s", words.Seconds(highest(history)))
}

// failures are so many of them at most; more says where the others are.
func (p *page) failures(r *document.BoardRun, most int, more string) {
	if len(r.Failures) == 0 {
		p.line("no failures in run %s", clean(r.RunID))
		p.line("")
		return
	}
	if p.narrow() {
		p.styled(bold, "%-17s %6s %5s %8s", "FAILURES", "SLICES", "LATER", "FOR GOOD")
	} else {
		p.styled(bold, "%-14s %-26s %7s %10s %6s %8s", "FAILURES", "", "SLICES", "DONE LATER", "AGAIN", "FOR GOOD")
	}
	for i, f := range r.Failures {
		if i == most || p.left() <= 1 && i+1 < len(r.Failures) {
			p.line("and %d more ways to fail: %s", len(r.Failures)-i, more)
			break
		}
		if p.narrow() {
			p.line("%-17s %6s %5s %8s", cut(clean(f.Name), 17), words.Count(f.Slices()), words.Count(f.DoneLater), words.Count(f.Failed))
			continue
		}
		p.line("%-14s %-26s %7s %10s %6s %8s", cut(clean(f.Class), 14), cut(clean(f.Name), 26), words.Count(f.Slices()), words.Count(f.DoneLater), words.Count(f.Retrying), words.Count(f.Failed))
	}
	p.line("")
}

func (p *page) sites() {
	if len(p.Board.Sites) == 0 {
		p.line("no workers")
		return
	}
	if p.narrow() {
		p.styled(bold, "%-12s %7s %6s %6s %5s", "WORKERS AT", "RUNNING", "SILENT", "BUSY", "SLOTS")
	} else {
		p.styled(bold, "%-18s %8s %8s %8s %6s %6s %6s %6s %5s", "WORKERS AT", "STARTING", "RUNNING", "DRAINING", "SILENT", "HELD", "SLOTS", "BUSY", "EFF.")
	}
	for i, s := range p.Board.Sites {
		if p.left() <= 1 && i+1 < len(p.Board.Sites) {
			p.line("and %d more", len(p.Board.Sites)-i)
			return
		}
		if p.narrow() {
			p.line("%-12s %7d %6d %6d %5d", cut(clean(s.Site), 12), s.Running, s.Silent, s.Busy, s.Slots)
			continue
		}
		eff := "-"
		if s.Efficiency != nil {
			eff = fmt.Sprintf("%.0f %%", 100**s.Efficiency)
		}
		p.line("%-18s %8d %8d %8d %6d %6d %6d %6d %5s", cut(clean(s.Site), 18), s.Starting, s.Running, s.Draining, s.Silent, s.Held, s.Slots, s.Busy, eff)
	}
}

func (p *page) workers() {
	p.sites()
	p.line("")
	p.styled(bold, "%-30s %-14s %-9s %6s %8s %7s %s", "WORKER", "HOST", "PHASE", "HOLDS", "DONE", "FAILED", "HELD BACK BY")
	for i := range p.Workers {
		w := &p.Workers[i]
		if p.left() <= 1 && i+1 < len(p.Workers) {
			p.line("and %d more: `idds workers` lists them", len(p.Workers)-i)
			return
		}
		p.line("%-30s %-14s %-9s %6d %8s %7s %s", cut(clean(w.PilotID), 30), cut(clean(w.Hostname), 14), clean(cmp.Or(string(w.Phase), "-")), len(w.InHand),
			words.Count(w.Totals.Done), words.Count(w.Totals.Failed), clean(w.Hold))
	}
}

func (p *page) help() {
	for _, l := range []string{
		"q, Ctrl-C   quit; Ctrl-Z stops it until fg", "↑ ↓, k j    choose a run", "f           all ways in which slices of the run have failed", "w           the workers, one by one",
		"o, Esc      back", "?           this", "",
		"to result   from data taken to result, of the last 30 s: half, 95 %, the slowest",
		"p95 over    the same over the run's time; the goal is 30 s, then 10 s",
		"waiting     on the queue, or for another attempt; running: with a worker",
		"failures    slices of which an attempt failed: done later by another one,",
		"            tried again now, or failed for good",
		"EFF.        share of the slots' time that payloads had",
	} {
		p.line("%s", l)
	}
}
