package simulate

import (
	"fmt"
	"math"
	"time"

	"tfpilot/internal/demand"
)

// Strategy is a way to decide how many workers are wanted.
type Strategy interface {
	Name() string
	// Wanted is asked every few seconds with how the run stands.
	Wanted(snapshot func() demand.Snapshot) int
	// Took hears what a slice took that was done just now.
	Took(seconds float64, now time.Time)
}

// policy is the demand policy.
type policy struct {
	demand.Policy

	before     demand.Memory
	processing demand.Times
}

// Follow decides by a policy.
func Follow(p demand.Policy) Strategy {
	return &policy{Policy: p, processing: demand.Times{HalfLife: demand.ProcessingHalfLife}}
}

func (p *policy) Name() string { return "policy" }

func (p *policy) Wanted(snapshot func() demand.Snapshot) int {
	s := snapshot()
	s.Runs[0].Before, s.Runs[0].Processing = p.before, p.processing.Took()
	d := p.Decide(s)[0]
	p.before = d.Memory
	return d.Wanted
}

func (p *policy) Took(seconds float64, now time.Time) { p.processing.Add(demand.Bin(seconds), 1, now) }

// Fixed wants always the same number.
type Fixed int

// Name says which.
func (f Fixed) Name() string { return fmt.Sprintf("fixed %d", int(f)) }

// Wanted is the number.
func (f Fixed) Wanted(func() demand.Snapshot) int { return int(f) }

// Took changes nothing.
func (f Fixed) Took(float64, time.Time) {}

// ruleThreshold is that of the Python system, in seconds.
const ruleThreshold = 30

// rule is that of the Python system: what was asked for times 1.5 when a slice took more than 1.5 times the threshold, times 1.2 when
// more than 1.2 times.
type rule struct{ factor float64 }

// PythonRule decides as the Python system does.
func PythonRule() Strategy { return &rule{1} }

func (r *rule) Name() string { return "python rule" }

func (r *rule) Wanted(snapshot func() demand.Snapshot) int {
	return int(math.Ceil(float64(snapshot().Runs[0].Request.Workers) * r.factor))
}

func (r *rule) Took(seconds float64, _ time.Time) {
	switch {
	case seconds > 1.5*ruleThreshold:
		r.factor = 1.5
	case seconds > 1.2*ruleThreshold:
		r.factor = 1.2
	}
}
