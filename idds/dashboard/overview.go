package dashboard

import (
	"net/http"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/glance"
)

// overview is what the first page shows: one run large, the others small.
type overview struct {
	document.Board

	// Run is the one shown large; nil while there is none.
	Run *document.BoardRun
	// Missing is the number of a run that was asked for and is not on the board.
	Missing string
	// Total is the workers of all sites.
	Total document.BoardSite
	// Wrong is what a shifter has to know first.
	Wrong []glance.Trouble
	// Reference is the run whose histograms are drawn behind; none when empty.
	Reference string
	// Plots are what the script draws.
	Plots plots
}

// plots are what the script needs to draw, beside the histograms, which it fetches when they have changed.
type plots struct {
	Run          string                  `json:"run"`
	Reference    string                  `json:"reference"`
	HistogramsAt int64                   `json:"histograms_at"`
	Goal         float64                 `json:"goal"`
	Aim          float64                 `json:"aim"`
	History      []document.BoardLatency `json:"history"`
}

func (p *Pages) overview(r *http.Request, v *page) error {
	v.Title, v.Live = "Control room", true
	board, err := p.cfg.Board(r.Context(), p.namespace(r))
	v.Data = viewOf(board, v.query.Get("run"), v.query.Get("reference"))
	return err
}

// viewOf is a board with one of its runs large: the one that was asked for, or the latest.
func viewOf(board document.Board, run, reference string) overview {
	v := overview{Board: board, Reference: reference, Plots: plots{Goal: document.GoalSeconds, Aim: document.AimSeconds, Reference: reference, History: []document.BoardLatency{}}}
	at := slices.IndexFunc(board.Runs, func(r document.BoardRun) bool { return run == "" || r.RunID == run })
	if at >= 0 {
		v.Run = &board.Runs[at]
		v.Plots.Run, v.Plots.HistogramsAt = v.Run.RunID, v.Run.HistogramsAt
		v.Plots.History = append(v.Plots.History, v.Run.History...)
		if n := len(v.Run.History); n > 0 && v.Run.State != document.RunClosed && board.At.After(v.Run.History[n-1].At) { // and nothing has come or gone since
			v.Plots.History = append(v.Plots.History, document.BoardLatency{At: board.At, Outstanding: v.Run.Slices.Outstanding})
		}
	} else {
		v.Missing = run
	}
	v.Total = glance.Total(board.Sites)
	v.Wrong = glance.Troubles(&v.Board, v.Run)
	return v
}

// Workers are those that live.
func (v overview) Workers() int { return glance.Workers(v.Total) }

// Headline is the time to results that is read from afar: that of now, and of a run that is over that of its STFs, for what the ledger
// keeps of a slice begins with its message, after the data was taken. It has nothing better of a producer that says nothing of STFs.
func (v overview) Headline() headline {
	if l := v.Run.Latency; v.Run.State == document.RunClosed && l.STFComplete.N > 0 {
		return headline{"for whole STFs, over the run", l.STFComplete, judge(l.STFComplete, "")}
	} else if v.Run.State == document.RunClosed {
		return headline{"from the slice on, over the run", l.SliceResult, judge(l.SliceResult, "no result")}
	}
	return headline{"in the last 30 s", v.Run.Recent, judge(v.Run.Recent, "no result in the last 30 s")}
}

// headline is the time to the results of some time, with how it is against the goals.
type headline struct {
	When string
	document.Quantiles
	verdict
}

// verdict is a state with its words.
type verdict struct{ State, Text string }

func judge(q document.Quantiles, none string) verdict {
	switch {
	case q.N == 0:
		return verdict{"waiting", none}
	case q.P95 <= document.AimSeconds:
		return verdict{"done", "within 10 s"}
	case q.P95 <= document.GoalSeconds:
		return verdict{"slow", "within 30 s"}
	default:
		return verdict{"failed", "later than 30 s"}
	}
}

// Parts are the shares of a run's slices, as the bar has them.
func (v overview) Parts() []part {
	s := v.Run.Slices
	return divide(s.Published, piece{"done", s.Done}, piece{"failed", s.Failed}, piece{"running", v.Run.Running}, piece{"waiting", s.Outstanding - v.Run.Running})
}

// Since is when the run began.
func (v overview) Since() time.Time { return v.Run.OpenedAt }

// Until is when it ended; now while it goes on.
func (v overview) Until() time.Time {
	if v.Run.EndedAt.IsZero() {
		return v.At
	}
	return v.Run.EndedAt
}
