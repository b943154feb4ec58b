package hist

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// tick is a mark on an axis; minor ticks have no label.
type tick struct {
	value float64
	label string
}

// linearTicks marks [low, high] with about n round numbers (1, 2 or 5 times a power of ten apart).
func linearTicks(low, high float64, n int) []tick {
	raw := (high - low) / float64(max(n, 1))
	magnitude := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * magnitude
	for _, m := range []float64{1, 2, 5} {
		if m*magnitude >= raw*0.999 {
			step = m * magnitude
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	first, last := math.Ceil(low/step-1e-9), math.Floor(high/step+1e-9)
	var out []tick
	for i := first; i <= last && len(out) < 100; i++ {
		v := i*step + 0 // never -0
		out = append(out, tick{v, number(v, decimals)})
	}
	return out
}

// number prints an axis value with the decimals that its neighbours need, and large or tiny ones with an exponent.
func number(v float64, decimals int) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 1e6 || decimals > 4:
		return strconv.FormatFloat(v, 'g', 4, 64)
	default:
		return strconv.FormatFloat(v, 'f', decimals, 64)
	}
}

// short prints a count in at most five characters: 950, 1.2k, 45k, 3.1M.
func short(v float64) string {
	for _, unit := range []struct {
		size   float64
		suffix string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			s := strconv.FormatFloat(v/unit.size, 'f', 1, 64)
			if len(s) > 4 {
				s = strconv.FormatFloat(v/unit.size, 'f', 0, 64)
			}
			return strings.TrimSuffix(s, ".0") + unit.suffix
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// countAxis maps counts to 0..1 of the drawing's height.
type countAxis struct {
	top   float64
	log   bool
	ticks []tick
}

// logFloor is where a logarithmic axis starts: an empty bin lies below it, a single entry visibly above.
const logFloor = 0.5

// newCountAxis leaves room above the highest bin. About n ticks are labelled.
func newCountAxis(highest float64, log bool, n int) countAxis {
	if log {
		a := countAxis{top: max(highest, 1) * 2, log: true}
		decades := int(math.Floor(math.Log10(a.top)))
		every := decades/max(n, 1) + 1
		for d := 0; d <= decades; d++ {
			t := tick{value: math.Pow(10, float64(d))}
			if d%every == 0 {
				t.label = short(t.value)
			}
			a.ticks = append(a.ticks, t)
			for m := 2.0; m < 10 && every == 1 && m*t.value <= a.top; m++ {
				a.ticks = append(a.ticks, tick{value: m * t.value})
			}
		}
		return a
	}
	a := countAxis{top: max(highest, 1) * 1.08}
	for _, t := range linearTicks(0, a.top, n) {
		if t.value == math.Trunc(t.value) { // counts are whole
			a.ticks = append(a.ticks, tick{t.value, short(t.value)})
		}
	}
	return a
}

// height is where a count lies, 0 at the bottom, 1 at the top.
func (a countAxis) height(count float64) float64 {
	if !a.log {
		return count / a.top
	}
	if count <= logFloor {
		return 0
	}
	return math.Log(count/logFloor) / math.Log(a.top/logFloor)
}

// axisTitle is title and unit as they stand below the axis.
func (h *H1) axisTitle() string {
	title := h.Title
	if title == "" {
		title = h.Name
	}
	if h.Unit == "" {
		return title
	}
	return fmt.Sprintf("%s [%s]", title, h.Unit)
}

// summary is the line of numbers that goes with a picture.
func (h *H1) summary() string {
	s := fmt.Sprintf("%s entries", short(h.Entries))
	if h.SumW > 0 {
		s += fmt.Sprintf(", mean %.4g, sd %.4g", h.Mean(), h.StdDev())
	}
	if h.Underflow > 0 || h.Overflow > 0 {
		s += fmt.Sprintf(", under %s, over %s", short(h.Underflow), short(h.Overflow))
	}
	if h.NaN > 0 {
		s += fmt.Sprintf(", NaN %s", short(h.NaN))
	}
	return s
}

func (h *H1) highest() float64 {
	top := 0.0
	for _, c := range h.Counts {
		top = max(top, c)
	}
	return top
}
