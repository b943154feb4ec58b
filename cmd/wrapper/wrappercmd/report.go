package wrappercmd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/hist"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/payload"
	"tfpilot/wrapper"
)

// histogramWidth is that of the pictures, in columns.
const histogramWidth = 100

// report is everything about one run. Its JSON is a promise to scripts.
type report struct {
	Verdict string                  `json:"verdict"` // done or failed
	Failure *message.Failure        `json:"failure,omitempty"`
	Payload message.PayloadIdentity `json:"payload"`
	Slice   message.Slice           `json:"slice"`

	// Seconds is the whole slice; the process' own times follow, absent when the payload started none.
	Seconds float64  `json:"seconds"`
	Process *process `json:"process,omitempty"`

	Counts     map[string]int64 `json:"counts,omitempty"`
	Histograms hist.Set         `json:"histograms,omitempty"`
	Outputs    []payload.Output `json:"outputs,omitempty"`
	Warnings   []string         `json:"warnings,omitempty"`
	// Folder is the slice's, when it was kept.
	Folder string `json:"folder,omitempty"`
	// Logs are compressed files with more of the streams; LogProblem says why there are none, or not all.
	Logs       []string `json:"logs,omitempty"`
	LogProblem string   `json:"log_problem,omitempty"`
	// Containment held the processes together; ContainmentReason says why it was nothing stronger.
	Containment       string `json:"containment,omitempty"`
	ContainmentReason string `json:"containment_reason,omitempty"`
	// Stdout and Stderr are the head and the tail of each, with a line between that says how much is missing.
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

type process struct {
	WallSeconds   float64 `json:"wall_seconds"`
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	// PeakBytes is the most memory that all processes held together, MaxRSSBytes what the largest of them did.
	PeakBytes   int64 `json:"peak_bytes"`
	MaxRSSBytes int64 `json:"max_rss_bytes"`
	// Processes is how many were seen at once, at most.
	Processes int    `json:"processes"`
	ExitCode  int    `json:"exit_code"`
	Signal    string `json:"signal,omitempty"`
	// LeftBehind counts processes that were still there when the program had ended, and were killed.
	LeftBehind int `json:"left_behind"`
}

func newReport(s message.Slice, o wrapper.Outcome) report {
	u := o.Result.Usage
	r := report{
		Verdict: message.StateDone, Failure: o.Failure(), Payload: o.Payload, Slice: s,
		Seconds: o.Ended.Sub(o.Started).Seconds(),
		Counts:  o.Result.Counts, Histograms: o.Result.Histograms, Outputs: o.Result.Outputs, Warnings: o.Result.Warnings,
		Folder: o.Dir, Logs: o.Logs, Stdout: u.Stdout, Stderr: u.Stderr,
	}
	if o.LogErr != nil {
		r.LogProblem = o.LogErr.Error()
	}
	if o.Err != nil {
		r.Verdict = message.StateFailed
	}
	if u.Wall > 0 {
		r.Process = &process{
			WallSeconds: u.Wall.Seconds(), UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
			PeakBytes: u.PeakBytes, MaxRSSBytes: u.MaxRSSBytes, Processes: u.Processes, ExitCode: u.ExitCode, Signal: u.Signal, LeftBehind: u.LeftBehind,
		}
	}
	return r
}

// print writes the report in the format of --output; quiet is the verdict alone.
func (r report) print(c *cli.Context) error {
	table := program.Table{Rows: r.rows()}
	if f := c.String("output"); f != "" && f != "table" {
		return program.Print(c, r, program.Table{Rows: [][]string{{r.Verdict}}})
	}
	if err := program.Print(c, r, table); err != nil {
		return err
	}
	for i := range r.Histograms {
		fmt.Fprintf(c.App.Writer, "\n%s", r.Histograms[i].Text(histogramWidth))
	}
	section(c.App.Writer, "stdout", r.Stdout)
	section(c.App.Writer, "stderr", r.Stderr)
	return nil
}

func (r report) rows() [][]string {
	var rows [][]string
	add := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	add("verdict", "%s", r.Verdict)
	if f := r.Failure; f != nil {
		again := "not worth another attempt"
		if f.Retryable {
			again = "another attempt may succeed"
		}
		add("failure", "%d %s, class %s, %s", f.Code, f.Name, f.Class, again)
		add("message", "%s", printable(f.Message, false))
	}
	c := r.Slice.Content
	add("payload", "%s %s", r.Payload.Name, r.Payload.Version)
	add("slice", "%s, run %s, attempt %d", printable(c.Identity(), false), r.Slice.Run(), c.AttemptNumber())
	add("input", "%s, frames %d to %d", printable(c.Filename, false), c.Start.Int64(), c.End.Int64())
	add("time", "%s", seconds(r.Seconds))
	if p := r.Process; p != nil {
		add("process", "wall %s, user %s, system %s, at most %.1f MB in %d processes",
			seconds(p.WallSeconds), seconds(p.UserSeconds), seconds(p.SystemSeconds), float64(p.PeakBytes)/1e6, p.Processes)
		held := r.Containment
		if r.ContainmentReason != "" {
			held += " (" + r.ContainmentReason + ")"
		}
		add("held by", "%s", printable(held, false))
		end := "exit code " + strconv.Itoa(p.ExitCode)
		if p.Signal != "" {
			end = "signal: " + p.Signal
		}
		add("end", "%s, %d processes left behind and killed", end, p.LeftBehind)
	} else {
		add("process", "none was started")
	}
	for _, key := range slices.Sorted(maps.Keys(r.Counts)) {
		add("count", "%s %d", printable(key, false), r.Counts[key])
	}
	for _, o := range r.Outputs {
		add("output", "%s, %d bytes, adler32 %s", printable(o.Name, false), o.SizeBytes, o.Adler32)
	}
	for _, w := range r.Warnings {
		add("warning", "%s", printable(w, false))
	}
	if r.Folder != "" {
		add("folder", "%s", r.Folder)
	}
	for _, l := range r.Logs {
		add("log", "%s", l)
	}
	if r.LogProblem != "" {
		add("log", "not complete: %s", r.LogProblem)
	}
	return rows
}

// seconds rounds to what can be read.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d > time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// section shows a stream under its name, indented, so that nothing in it can be taken for ours.
func section(w io.Writer, name, text string) {
	if strings.TrimSpace(text) == "" {
		fmt.Fprintf(w, "\n%s: empty\n", name)
		return
	}
	fmt.Fprintf(w, "\n%s:\n", name)
	for line := range strings.Lines(printable(text, true)) {
		fmt.Fprintf(w, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// printable keeps a payload's words from steering the terminal.
func printable(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\t' || r == '\n'):
			return r
		case unicode.IsControl(r):
			return '·'
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
}
