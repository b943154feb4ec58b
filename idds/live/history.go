package live

import (
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

const (
	// window is what counts as now, rateWindow what a rate is over; both in seconds.
	window, rateWindow = 30, 10
	// intervals is how many a run's history has at most; when there are more, each becomes twice as long.
	intervals = 60
	// intervalsClosed is how many of them are shown of a run that is over: it changes no more, and everybody is sent it again and again.
	intervalsClosed = 20
)

// history is the times from data taken to result of a run's results: of the last seconds, and over its whole time.
type history struct {
	last [window + 2]second

	begin time.Time // of the first interval: when the run was opened
	width time.Duration
	of    []interval
}

// interval is the results of a part of the run's time, and how many slices came and went in it.
type interval struct {
	sketch

	came, went int
}

func (i *interval) merge(other *interval) {
	i.sketch.merge(&other.sketch)
	i.came, i.went = i.came+other.came, i.went+other.went
}

func newHistory(begin time.Time) *history {
	return &history{begin: begin.Truncate(time.Second), width: time.Second}
}

// second is the results of one second since 1970.
type second struct {
	at int64
	sketch
}

// count counts a result.
func (h *history) count(o ledger.Outcome) { h.add(o.DoneAt, o.DoneAt.Sub(o.TakenAt).Seconds()) }

// add counts a result that was counted at a time.
func (h *history) add(at time.Time, seconds float64) {
	if slot := h.second(at.Unix()); slot != nil {
		slot.add(seconds)
	}
	h.interval(at).add(seconds)
}

// came and went count a slice of which there is a result to come, and one of which there is none any more.
func (h *history) came(at time.Time) { h.interval(at).came++ }
func (h *history) went(at time.Time) { h.interval(at).went++ }

// interval is the one that a time is in.
func (h *history) interval(at time.Time) *interval {
	i := max(0, int(at.Sub(h.begin)/h.width)) // or the clock has stepped
	for i >= intervals {
		h.widen()
		i = int(at.Sub(h.begin) / h.width)
	}
	for len(h.of) <= i {
		h.of = append(h.of, interval{})
	}
	return &h.of[i]
}

// second is where the results of a second are counted, nil when that is long ago.
func (h *history) second(at int64) *second {
	slot := &h.last[int(uint64(at)%uint64(len(h.last)))]
	if slot.at < at {
		*slot = second{at: at}
	}
	if slot.at != at {
		return nil
	}
	return slot
}

// merge adds the results of a history of the same run.
func (h *history) merge(other *history) {
	for i := range other.last {
		if s := &other.last[i]; s.n > 0 {
			if slot := h.second(s.at); slot != nil {
				slot.merge(&s.sketch)
			}
		}
	}
	for h.width < other.width {
		h.widen()
	}
	for other.width < h.width {
		other.widen()
	}
	for i := range other.of {
		if len(h.of) <= i {
			h.of = append(h.of, interval{})
		}
		h.of[i].merge(&other.of[i])
	}
}

// widen makes intervals twice as long.
func (h *history) widen() {
	h.of, h.width = joined(h.of), 2*h.width
}

func joined(of []interval) []interval {
	out := make([]interval, (len(of)+1)/2)
	for i := range of {
		out[i/2].merge(&of[i])
	}
	return out
}

// recent is of the last seconds.
func (h *history) recent(now time.Time) (document.Quantiles, float64) {
	var all sketch
	n, end := 0, now.Unix()
	for i := range h.last {
		s := &h.last[i]
		if s.at > end-window && s.at <= end {
			all.merge(&s.sketch)
		}
		if s.at >= end-rateWindow && s.at < end { // this second is not over
			n += s.n
		}
	}
	return all.quantiles(), float64(n) / rateWindow
}

// over is the time since the first slice, in as many intervals at most.
func (h *history) over(most int) []document.BoardLatency {
	of, width := h.of, h.width
	for len(of) > most {
		of, width = joined(of), 2*width
	}
	out := make([]document.BoardLatency, 0, len(of))
	left := 0
	for i := range of {
		if len(out) == 0 && of[i].n+of[i].came+of[i].went == 0 {
			continue
		}
		left += of[i].came - of[i].went
		q := of[i].quantiles()
		out = append(out, document.BoardLatency{At: h.begin.Add(time.Duration(i) * width).UTC(), Done: q.N, P50: q.P50, P95: q.P95, Outstanding: max(0, left)})
	}
	return out
}
