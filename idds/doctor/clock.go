package doctor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stomp"
)

// Clocks that differ by more than this spoil latencies, and by more than that what expires and when runs time out.
const (
	clockWarning = time.Second
	clockProblem = time.Minute
)

// offset is how far another clock is ahead of ours, give or take uncertain.
type offset struct {
	by, uncertain time.Duration
	known         bool
}

// stamp notes the broker's clock from the time that it put on a probe.
func (e *examination) stamp(m *stomp.Message, sent, got time.Time) {
	ms, err := strconv.ParseInt(m.Header.Get("timestamp"), 10, 64)
	if err != nil || ms == 0 {
		return
	}
	half := got.Sub(sent) / 2
	e.clock = offset{by: time.UnixMilli(ms).Sub(sent.Add(half)), uncertain: half + time.Millisecond, known: true}
}

// clocks compares this machine's clock with the broker's and with those of the workers that report.
func (e *examination) clocks(context.Context) {
	e.compare("clock of the broker", e.clock, "no probe has come back with the broker's time")
	var worst offset
	var whose string
	if e.facts != nil {
		for _, w := range e.facts.Workers {
			if by := w.At.Sub(w.LastSeen); !w.At.IsZero() && (!worst.known || by.Abs() > worst.by.Abs()) {
				worst, whose = offset{by: by, known: true}, w.Hostname
			}
		}
	}
	name := "clocks of the workers"
	if worst.known {
		name = fmt.Sprintf("clocks of %s", plural(len(e.facts.Workers), "worker"))
		e.compareAs(name, worst, fmt.Sprintf("the worst is that of %s: ", whose))
		return
	}
	e.report.add(name, NotChecked, "", "no worker has reported in the last day")
}

func (e *examination) compare(name string, o offset, why string) {
	if !o.known {
		e.report.add(name, NotChecked, "", "%s", why)
		return
	}
	e.compareAs(name, o, "")
}

func (e *examination) compareAs(name string, o offset, whose string) {
	const do = "set the clocks by NTP"
	text := fmt.Sprintf("%s%s ahead of this machine's", whose, o.by.Round(time.Millisecond))
	if o.by < 0 {
		text = fmt.Sprintf("%s%s behind this machine's", whose, (-o.by).Round(time.Millisecond))
	}
	if o.uncertain > 0 {
		text += fmt.Sprintf(", give or take %s", o.uncertain.Round(time.Millisecond))
	}
	switch off := o.by.Abs() - o.uncertain; {
	case off > clockProblem:
		e.report.problem(name, exitcode.BadConfig, do, "%s: messages expire early or never", text)
	case off > clockWarning:
		e.report.add(name, Warning, do, "%s: latencies are wrong by as much", text)
	default:
		e.report.add(name, OK, "", "%s", text)
	}
}
