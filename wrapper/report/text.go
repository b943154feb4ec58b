package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/wrapper"
)

// width is that of pictures, in columns: they are not broken by the narrowest terminal that people use.
const width = 80

// Text writes the report for people.
func (r Report) Text(w io.Writer) error {
	if err := (program.Table{Rows: r.rows()}).Write(w); err != nil {
		return err
	}
	r.picture(w)
	for i := range r.Histograms {
		fmt.Fprintf(w, "\n%s", r.Histograms[i].Text(width))
	}
	Section(w, "stdout", r.Stdout)
	Section(w, "stderr", r.Stderr)
	return nil
}

func (r Report) rows() [][]string {
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
		add("message", "%s", program.Printable(f.Message))
		if r.Advice != "" {
			add("advice", "%s", r.Advice)
		}
	}
	add("next", "%s", r.Next)
	c := r.Slice.Content
	add("payload", "%s %s", r.Payload.Name, r.Payload.Version)
	add("slice", "%s, run %s, attempt %d", program.Printable(c.Identity()), r.Slice.Run(), c.AttemptNumber())
	add("input", "%s, frames %d to %d", program.Printable(c.Filename), c.Start.Int64(), c.End.Int64())
	if in := r.Input; in != nil {
		add("", "%s", program.Printable(inputText(*in)))
	}
	if r.StartupSeconds > 0 {
		add("start-up", "%s, once in each slot", program.Seconds(r.StartupSeconds))
	}
	add("time", "%s", program.Seconds(r.Seconds))
	r.process(add)
	for _, key := range slices.Sorted(maps.Keys(r.Counts)) {
		add("count", "%s %d", program.Printable(key), r.Counts[key])
	}
	for _, o := range r.Outputs {
		add("output", "%s, %d bytes, adler32 %s%s", program.Printable(o.Name), o.SizeBytes, o.Adler32, at(o))
	}
	for _, w := range r.Warnings {
		add("warning", "%s", program.Printable(w))
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

// inputText says how a remote file was made ready.
func inputText(in message.ResultInput) string {
	var text string
	switch in.How {
	case wrapper.InputFetched:
		text = fmt.Sprintf("fetched in %s, %.1f MB", program.Seconds(in.Seconds), float64(in.MovedBytes)/1e6)
	case wrapper.InputCached:
		text = "in the cache of fetched files"
	default:
		text = "read over the network by the program"
	}
	if in.Reason != "" {
		text += ": " + in.Reason
	}
	return text
}

// process adds what the processes took.
func (r Report) process(add func(name, format string, args ...any)) {
	p := r.Process
	if p == nil {
		add("process", "none was started")
		return
	}
	add("process", "wall %s, user %s, system %s, %.0f %% of a core", program.Seconds(p.WallSeconds), program.Seconds(p.UserSeconds), program.Seconds(p.SystemSeconds),
		100*(p.UserSeconds+p.SystemSeconds)/p.WallSeconds)
	add("memory", "at most %.1f MB in %d processes", float64(p.PeakBytes)/1e6, p.Processes)
	add("bytes", "%.1f MB read, %.1f MB written", float64(p.ReadBytes)/1e6, float64(p.WrittenBytes)/1e6)
	held := r.Containment
	if r.ContainmentReason != "" {
		held += " (" + r.ContainmentReason + ")"
	}
	add("held by", "%s", program.Printable(held))
	if r.Container != "" {
		add("inside", "%s", program.Printable(r.Container))
	}
	end := "exit code " + strconv.Itoa(p.ExitCode) + ", "
	switch {
	case p.Signal != "":
		end = "signal: " + p.Signal + ", "
	case p.ExitCode == 0 && r.StartupSeconds > 0: // it stays
		end = ""
	}
	add("end", "%s%d processes left behind and killed", end, p.LeftBehind)
}

// Section shows a stream under its name, indented, so that nothing in it can be taken for ours.
func Section(w io.Writer, name, text string) {
	if strings.TrimSpace(text) == "" {
		fmt.Fprintf(w, "\n%s: empty\n", name)
		return
	}
	fmt.Fprintf(w, "\n%s:\n", name)
	for line := range strings.Lines(program.PrintableLines(text)) {
		fmt.Fprintf(w, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// at says where an output is kept.
func at(o message.OutputFile) string {
	switch {
	case o.Place == "":
		return ", not kept (--output-to)"
	case o.Kept:
		return ", that of an earlier attempt, stays at " + program.Printable(o.Place) + " (--output-replace)"
	default:
		return ", kept at " + program.Printable(o.Place)
	}
}
