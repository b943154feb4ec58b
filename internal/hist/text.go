package hist

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// textRows is the height of the picture in lines, without its heading and axis.
const textRows = 8

// eighths are the bar ends between two lines of a terminal.
var eighths = []rune(" ▁▂▃▄▅▆▇█")

// Text draws the histogram for a terminal of the given width (at least 40 columns are used): heading, bars, axis.
// Bins are joined where there are more of them than columns.
func (h *H1) Text(width int) string {
	const margin = 8 // count labels and the axis line
	columns := max(width, 40) - margin
	counts, perBin := h.columns(columns)
	columns = len(counts) * perBin
	gap := 0
	if perBin >= 4 {
		gap = 1 // few bins are mostly categories, such as layers: show them apart
	}

	highest := 0.0
	for _, c := range counts {
		highest = max(highest, c)
	}
	axis := newCountAxis(highest, h.LogY, 4)
	labels := make([]string, textRows)
	for _, t := range axis.ticks {
		// A tick stands in the line that holds its height; the lowest line belongs to the axis itself.
		if row := int(axis.height(t.value) * textRows); t.label != "" && row < textRows && labels[row] == "" {
			labels[row] = t.label
		}
	}

	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", h.axisTitle(), h.summary())
	for row := textRows - 1; row >= 0; row-- {
		mark := "│"
		if labels[row] != "" {
			mark = "┤"
		}
		var line strings.Builder
		for _, c := range counts {
			fill := int(math.Round((axis.height(c)*textRows - float64(row)) * 8))
			if row == 0 && c > 0 {
				fill = max(fill, 1) // one entry among a million is still there
			}
			bar := strings.Repeat(string(eighths[min(max(fill, 0), 8)]), perBin-gap)
			line.WriteString(bar + strings.Repeat(" ", gap))
		}
		fmt.Fprintf(&b, "%6s %s%s\n", labels[row], mark, strings.TrimRight(line.String(), " "))
	}
	rule, numbers := h.textAxis(columns)
	fmt.Fprintf(&b, "%6s └%s\n%7s %s\n", "", rule, "", numbers)
	return b.String()
}

// columns sums neighbouring bins until they fit, or repeats each as often as fits.
func (h *H1) columns(n int) (counts []float64, perBin int) {
	join := (h.NBins + n - 1) / n
	for i := 0; i < len(h.Counts); i += join {
		sum := 0.0
		for _, c := range h.Counts[i:min(i+join, len(h.Counts))] {
			sum += c
		}
		counts = append(counts, sum)
	}
	return counts, max(1, n/max(len(counts), 1))
}

// textAxis is the line with the tick marks and the line with their numbers.
func (h *H1) textAxis(columns int) (rule, numbers string) {
	marks := []rune(strings.Repeat("─", columns))
	labels := []rune(strings.Repeat(" ", columns+8))
	free := 0
	for _, t := range linearTicks(h.Low, h.High, max(2, columns/9)) {
		at := min(int((t.value-h.Low)/(h.High-h.Low)*float64(columns)), columns-1)
		marks[at] = '┴'
		from := max(0, at-utf8.RuneCountInString(t.label)/2)
		if from < free {
			continue
		}
		for i, r := range t.label {
			labels[from+i] = r
		}
		free = from + len(t.label) + 1
	}
	return string(marks), strings.TrimRight(string(labels), " ")
}
