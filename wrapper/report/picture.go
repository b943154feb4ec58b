package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"tfpilot/internal/program"
)

// levels are the heights of a curve that has one line.
var levels = []rune(" ▁▂▃▄▅▆▇█")

// eighths are the ends of a bar.
var eighths = []rune(" ▏▎▍▌▋▊▉█")

// picture draws the time line, with the curves of memory and processors below the time in which the payload had the slice.
func (r Report) picture(w io.Writer) {
	if len(r.Timeline) == 0 {
		return
	}
	last := r.Timeline[len(r.Timeline)-1]
	total := last.StartSeconds + last.Seconds
	if total <= 0 {
		return
	}
	const margin = 24 // names and times
	columns := width - margin
	scale := float64(columns) / total
	fmt.Fprintf(w, "\ntime line, %s\n", program.Seconds(total))
	var handed float64
	for _, s := range r.Timeline {
		fmt.Fprintf(w, "  %-9s %10s  %s\n", s.Name, program.Seconds(s.Seconds), bar(s.StartSeconds*scale, s.Seconds*scale, columns))
		if s.Name == stepPayload {
			handed = s.StartSeconds
		}
	}
	if len(r.Curve) < 2 {
		return
	}
	memory, cpu := make([]float64, columns), make([]float64, columns)
	before := Point{}
	for _, p := range r.Curve {
		from, to := column(handed+before.Seconds, scale, columns), column(handed+p.Seconds, scale, columns)
		share := (p.CPUSeconds - before.CPUSeconds) / max(p.Seconds-before.Seconds, 1e-3)
		for i := from; i <= to; i++ {
			memory[i], cpu[i] = max(memory[i], float64(p.Bytes)), max(cpu[i], share)
		}
		before = p
	}
	most := memory[0]
	for _, m := range memory {
		most = max(most, m)
	}
	if most == 0 {
		return // it was too quick
	}
	cores := 1.0
	for _, c := range cpu {
		cores = max(cores, math.Ceil(c-0.25)) // a look comes a little early or late
	}
	fmt.Fprintf(w, "  %-9s %10s  %s\n", "memory", fmt.Sprintf("%.1f MB", most/1e6), curve(memory, most))
	fmt.Fprintf(w, "  %-9s %10s  %s\n", "cpu", fmt.Sprintf("%.0f %%", 100*cores), curve(cpu, cores))
}

func column(seconds, scale float64, columns int) int {
	return min(max(int(seconds*scale), 0), columns-1)
}

// bar is a bar from and of so many columns.
func bar(from, length float64, columns int) string {
	start := min(int(from), columns-1)
	full := min(int(length), columns-start)
	text := strings.Repeat(" ", start) + strings.Repeat("█", full)
	if rest := int(math.Round((length - float64(full)) * 8)); rest > 0 && start+full < columns {
		text += string(eighths[min(rest, 8)])
	} else if full == 0 {
		text += "▏" // what took no time was there all the same
	}
	return text
}

// curve is one line of levels up to most.
func curve(values []float64, most float64) string {
	var b strings.Builder
	for _, v := range values {
		level := 0
		if v > 0 && most > 0 {
			level = max(1, min(8, int(math.Round(v/most*8))))
		}
		b.WriteRune(levels[level])
	}
	return strings.TrimRight(b.String(), " ")
}
