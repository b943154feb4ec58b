package trial

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"tfpilot/internal/program"
)

// shown is how many values of a difference, and files, are shown to people.
const shown = 4

// Text writes the summary for people.
func (s Summary) Text(w io.Writer) error {
	fmt.Fprintf(w, "%d slices in %d slots, %s, %.4g slices per second\n\n", s.Slices, s.Slots, program.Seconds(s.Seconds), s.PerSecond)
	t := program.Table{Header: []string{"VERDICT", "SLICES", "SHARE", "MESSAGE OF THE FIRST"}}
	for _, v := range s.Verdicts {
		t.Rows = append(t.Rows, []string{v.Name, strconv.Itoa(v.Slices), fmt.Sprintf("%.1f %%", 100*float64(v.Slices)/float64(s.Slices)), program.Printable(v.Message)})
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if s.Failed() < s.Slices {
		fmt.Fprintln(w)
		if err := s.times().Write(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	return s.findings().Write(w)
}

func (s Summary) times() program.Table {
	t := program.Table{Header: []string{"OF A SLICE", "MEDIAN", "P95", "MAX"}}
	type row struct {
		name string
		q    Quantiles
	}
	rows := []row{{"time", s.Slice}, {"payload's own", s.Payload}, {"the rest", s.Overhead}, {"processors", s.CPU}}
	if s.Startups > 0 {
		rows = append(rows, row{fmt.Sprintf("start-up (%d)", s.Startups), s.Startup})
	}
	for _, row := range rows {
		t.Rows = append(t.Rows, []string{row.name, program.Seconds(row.q.Median), program.Seconds(row.q.P95), program.Seconds(row.q.Max)})
	}
	mb := func(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }
	t.Rows = append(t.Rows, []string{"memory", mb(s.Memory.Median), mb(s.Memory.P95), mb(s.Memory.Max)})
	return t
}

// findings are what one run does not show.
func (s Summary) findings() program.Table {
	var t program.Table
	add := func(name, format string, args ...any) {
		t.Rows = append(t.Rows, []string{name, fmt.Sprintf(format, args...)})
	}
	switch g := s.Growth; {
	case g == nil:
	case g.Grows():
		add("growth", "memory grows: %.1f MB in the first fifth, %.1f MB in the last", g.First/1e6, g.Last/1e6)
	default:
		add("growth", "none: %.1f MB in the first fifth, %.1f MB in the last", g.First/1e6, g.Last/1e6)
	}
	add("left", "%d processes, %d files", s.LeftBehind, len(s.Files))
	for _, f := range s.Files[:min(len(s.Files), shown)] {
		add("", "%s", program.Printable(f))
	}
	switch {
	case s.Failed() == s.Slices:
		add("results", "none")
	case len(s.Differences) == 0:
		add("results", "the same in all")
	default:
		add("results", "differ in %d parts", len(s.Differences))
	}
	for _, d := range s.Differences {
		values := make([]string, 0, shown+1)
		for _, v := range d.Values[:min(len(d.Values), shown)] {
			values = append(values, fmt.Sprintf("%s in %d", v.Text, v.Slices))
		}
		if more := len(d.Values) - shown; more > 0 {
			values = append(values, fmt.Sprintf("%d more", more))
		}
		add("", "%s: %s", program.Printable(d.Part), strings.Join(values, "; "))
	}
	return t
}
