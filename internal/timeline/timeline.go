// Package timeline lays out pictures of what happened when: of a slice with all its attempts, and of a run. It draws nothing: a template of
// the page does, from the places that everything has here.
package timeline

import (
	"math"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/words"
)

// Picture is lanes beneath each other on one axis of time.
type Picture struct {
	// Title and Summary are for who does not see it.
	Title, Summary string
	Height         float64
	From, To       time.Time
	Lanes          []Lane
	Ticks          []Tick
	// Skew is by how much the clocks that tell the times must differ: some step ended before it began.
	Skew time.Duration
}

// Lane is what one thing went through.
type Lane struct {
	// ID is unique on the page.
	ID          string
	Label, Note string
	Y           float64
	Bars        []Bar
	Marks       []Mark
}

// Bar is a time during which something was so; Kind gives it its colour.
type Bar struct {
	From, To   time.Time
	Kind, Text string
	// Open says that it is so still.
	Open     bool
	X, Width float64
	// Label is the part of the text that has room in it.
	Label string
}

// TextX is where its label begins.
func (b Bar) TextX() float64 { return b.X + 5 }

// Mark is a moment.
type Mark struct {
	At         time.Time
	Kind, Text string
	X          float64
}

// Tick is a label of the axis.
type Tick struct {
	X     float64
	Label string
}

// Sizes of the picture, in its own units.
const (
	width          = 1000
	left           = 190
	right          = 50 // half of the longest label of a tick
	top            = 26
	laneHeight     = 42
	barLeast       = 2
	labelPerLetter = 7.2
)

// Width is that of the picture.
func (t *Picture) Width() int { return width }

// Left is where its axis begins.
func (t *Picture) Left() int { return left }

// Right is where its axis ends.
func (t *Picture) Right() int { return width - right }

// layOut gives everything its place; nil when there is nothing to be seen.
func (t *Picture) layOut() *Picture {
	for i := range t.Lanes {
		for _, b := range t.Lanes[i].Bars {
			t.span(b.From)
			t.span(b.To)
			t.Skew = max(t.Skew, b.From.Sub(b.To))
		}
		for _, m := range t.Lanes[i].Marks {
			t.span(m.At)
		}
	}
	if t.From.IsZero() {
		return nil
	}
	for i := range t.Lanes {
		l := &t.Lanes[i]
		l.Y = top + float64(i)*laneHeight
		for j := range l.Bars {
			b := &l.Bars[j]
			b.X = t.x(b.From)
			b.Width = max(barLeast, t.x(b.To)-b.X)
			if float64(len(b.Text))*labelPerLetter < b.Width {
				b.Label = b.Text
			}
		}
		for j := range l.Marks {
			l.Marks[j].X = t.x(l.Marks[j].At)
		}
	}
	t.Height = top + float64(len(t.Lanes))*laneHeight
	t.Ticks = t.ticks()
	return t
}

func (t *Picture) span(at time.Time) {
	if at.IsZero() {
		return
	}
	if t.From.IsZero() || at.Before(t.From) {
		t.From = at
	}
	if at.After(t.To) {
		t.To = at
	}
}

func (t *Picture) x(at time.Time) float64 {
	whole := t.To.Sub(t.From).Seconds()
	if whole <= 0 {
		return left
	}
	x := left + at.Sub(t.From).Seconds()/whole*(width-left-right)
	return math.Round(x*10) / 10
}

// ticks mark round times after the first moment, about seven of them.
func (t *Picture) ticks() []Tick {
	whole := t.To.Sub(t.From).Seconds()
	out := []Tick{{left, "0"}}
	if whole <= 0 {
		return out
	}
	step := roundStep(whole / 7)
	for n := 1; float64(n)*step <= whole && n < 20; n++ {
		s := float64(n) * step
		out = append(out, Tick{t.x(t.From.Add(time.Duration(s * float64(time.Second)))), "+" + plain(words.Seconds(s))})
	}
	return out
}

// plain is a round time without what is nothing of it.
func plain(seconds string) string {
	for _, nothing := range []string{" 00 s", " 00 min", " 0 h"} {
		seconds = strings.TrimSuffix(seconds, nothing)
	}
	return strings.Replace(seconds, ".0 s", " s", 1)
}

// roundStep is the least round time (s) that is no shorter.
func roundStep(least float64) float64 {
	steps := []float64{60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400}
	if least > 30 {
		if i := slices.IndexFunc(steps, func(s float64) bool { return s >= least }); i >= 0 {
			return steps[i]
		}
		return math.Ceil(least/86400) * 86400
	}
	magnitude := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5} {
		if m*magnitude >= least*0.999 {
			return m * magnitude
		}
	}
	return 10 * magnitude
}

// shortest is how many letters there is room for beside a time line.
const shortest = 27

// Short leaves of a name what there is room for: its begin and its end, which tell names apart.
func (Picture) Short(name string) string {
	r := []rune(name)
	if len(r) <= shortest {
		return name
	}
	return string(r[:13]) + "…" + string(r[len(r)-13:])
}

// Sign is the shape of a mark, as a path of SVG around its middle.
func (m Mark) Sign() string {
	switch m.Kind {
	case "done":
		return "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0"
	case "failed", "lost":
		return "M-7 -4l3 -3l4 4l4 -4l3 3l-4 4l4 4l-3 3l-4 -4l-4 4l-3 -3l4 -4z"
	case "absorbed":
		return "M0 -7l7 7l-7 7l-7 -7z"
	default:
		return "M-1.5 -10h3v20h-3z"
	}
}
