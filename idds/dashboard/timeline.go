package dashboard

import (
	"math"
	"slices"
	"time"
)

// timeline is a picture of what happened when: lanes beneath each other on one axis of time. templates/timeline.html.tmpl draws it.
type timeline struct {
	// Title and Summary are for who does not see it.
	Title, Summary string
	Height         float64
	From, To       time.Time
	Lanes          []lane
	Ticks          []tick
	// Skew is by how much the clocks that tell the times must differ: some step ended before it began.
	Skew time.Duration
}

// lane is what one thing went through.
type lane struct {
	// ID is unique on the page.
	ID          string
	Label, Note string
	Y           float64
	Bars        []bar
	Marks       []mark
}

// bar is a time during which something was so; Kind gives it its colour.
type bar struct {
	From, To   time.Time
	Kind, Text string
	// Open says that it is so still.
	Open     bool
	X, Width float64
	// Label is the part of the text that has room in it.
	Label string
}

// TextX is where its label begins.
func (b bar) TextX() float64 { return b.X + 5 }

// mark is a moment.
type mark struct {
	At         time.Time
	Kind, Text string
	X          float64
}

// tick is a label of the axis.
type tick struct {
	X     float64
	Label string
}

// Sizes of the picture, in its own units.
const (
	timelineWidth  = 1000
	timelineLeft   = 190
	timelineRight  = 30
	timelineTop    = 26
	laneHeight     = 42
	barLeast       = 2
	labelPerLetter = 7.2
)

// Width is that of the picture.
func (t *timeline) Width() int { return timelineWidth }

// Left is where its axis begins.
func (t *timeline) Left() int { return timelineLeft }

// Right is where its axis ends.
func (t *timeline) Right() int { return timelineWidth - timelineRight }

// layOut gives everything its place; nil when there is nothing to be seen.
func (t *timeline) layOut() *timeline {
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
		l.Y = timelineTop + float64(i)*laneHeight
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
	t.Height = timelineTop + float64(len(t.Lanes))*laneHeight
	t.Ticks = t.ticks()
	return t
}

func (t *timeline) span(at time.Time) {
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

func (t *timeline) x(at time.Time) float64 {
	whole := t.To.Sub(t.From).Seconds()
	if whole <= 0 {
		return timelineLeft
	}
	x := timelineLeft + at.Sub(t.From).Seconds()/whole*(timelineWidth-timelineLeft-timelineRight)
	return math.Round(x*10) / 10
}

// ticks mark round times after the first moment, about seven of them.
func (t *timeline) ticks() []tick {
	whole := t.To.Sub(t.From).Seconds()
	out := []tick{{timelineLeft, "0"}}
	if whole <= 0 {
		return out
	}
	step := roundStep(whole / 7)
	for n := 1; float64(n)*step <= whole && n < 20; n++ {
		s := float64(n) * step
		out = append(out, tick{t.x(t.From.Add(time.Duration(s * float64(time.Second)))), "+" + seconds(s)})
	}
	return out
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
