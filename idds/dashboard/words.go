package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"time"

	"tfpilot/internal/message"
)

// furtherFunctions are what the templates of the further pages may call.
func furtherFunctions() template.FuncMap {
	return template.FuncMap{
		"parts": parts, "short": short, "sign": sign, "after": after, "moment": moment, "said": said, "goal": goal, "pager": newPager,
		"instant": instant, "indent": indent,
	}
}

// part is one of a bar's parts, in hundredths.
type part struct {
	Kind     string
	X, Width float64
}

// piece is how many slices are of a kind.
type piece struct {
	kind string
	n    int
}

// parts are what has become of slices.
func parts(s message.SliceCounts) []part {
	return divide(s.Published, piece{"done", s.Done}, piece{"failed", s.Failed}, piece{"waiting", s.Outstanding})
}

// divide makes the parts of a bar. What is not nothing is to be seen.
func divide(whole int, pieces ...piece) []part {
	var out []part
	at := 0.0
	for _, of := range pieces {
		if of.n <= 0 || whole <= 0 {
			continue
		}
		width := max(1, math.Round(1e4*share(of.n, whole))/100)
		width = min(width, 100-at)
		out = append(out, part{of.kind, at, width})
		at += width
	}
	return out
}

// shortest is how many letters there is room for beside a time line.
const shortest = 27

// short leaves of a name what there is room for: its begin and its end, which tell names apart.
func short(name string) string {
	r := []rune(name)
	if len(r) <= shortest {
		return name
	}
	return string(r[:13]) + "…" + string(r[len(r)-13:])
}

// sign is the shape of a mark, as a path of SVG around its middle.
func sign(kind string) string {
	switch kind {
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

// after is how long after another a moment was: steps of one machine are milliseconds apart.
func after(first, at time.Time) string {
	if first.IsZero() || at.IsZero() {
		return none
	}
	switch d := at.Sub(first); {
	case d < 0:
		return took(at, first) + " before"
	case d < 100*time.Second:
		return fmt.Sprintf("+%.3f s", d.Seconds())
	default:
		return "+" + seconds(d.Seconds())
	}
}

// instant is a time of the day with milliseconds.
func instant(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// indent writes JSON for people; what is none as it is.
func indent(body json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}

// moment is a time with its day and milliseconds.
func moment(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

// goal says whether a time to results is one that the experiment aims at.
func goal(seconds float64) string {
	switch {
	case seconds <= 10:
		return "within the aim of 10 s"
	case seconds <= 30:
		return "within the goal of 30 s"
	default:
		return "past the goal of 30 s"
	}
}

// pager leads through the pages of a list.
type pager struct{ First, Next string }

func newPager(v page, next string) (out pager) {
	if v.query.Get("after") != "" {
		out.First = v.Again("after", "")
	}
	if next != "" {
		out.Next = v.Again("after", next)
	}
	return out
}
