package doctor

import (
	"fmt"

	"tfpilot/internal/exitcode"
)

// Verdict is what a check comes to.
type Verdict string

// The verdicts. Only a problem makes the examination fail.
const (
	OK         Verdict = "ok"
	Warning    Verdict = "warning"
	Problem    Verdict = "problem"
	NotChecked Verdict = "not checked"
)

// Check is one line of the report.
type Check struct {
	Name    string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Found is what was seen, or why nothing was looked at; Do is what to do about it.
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
	// Failure is the name of a problem's line in the table of exit codes.
	Failure string `json:"failure,omitempty"`

	failure exitcode.Failure
}

// Report is a whole examination.
type Report struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

func (r *Report) add(name string, v Verdict, do, format string, args ...any) {
	r.Checks = append(r.Checks, Check{Name: name, Verdict: v, Found: fmt.Sprintf(format, args...), Do: do})
}

// problem adds a problem with its place in the table of failures.
func (r *Report) problem(name string, f exitcode.Failure, do, format string, args ...any) {
	r.add(name, Problem, do, format, args...)
	c := &r.Checks[len(r.Checks)-1]
	c.failure, c.Failure = f, f.Name
}

// Err is the first problem, nil when there is none.
func (r *Report) Err() error {
	for _, c := range r.Checks {
		if c.Verdict == Problem {
			return exitcode.New(c.failure, "%s: %s", c.Name, c.Found)
		}
	}
	return nil
}
