package runplan

import (
	"iter"
	"time"

	"tfpilot/internal/message"
)

// Step is one thing that happens in a run.
type Step struct {
	// Index counts the steps from 0: how far a run has come.
	Index int
	// Condition is where the detector is after the step.
	Condition Condition
	// Message is the run message of the step, empty when it has none.
	Message string
	// Sequence is the number of the STF that the step takes, from 1, 0 when it takes none.
	Sequence int
	// Tick is when the step happens in the plan's own time.
	Tick time.Duration
}

// Steps are the whole run, in order; endless when the plan is.
func (p Plan) Steps() iter.Seq[Step] {
	return func(yield func(Step) bool) {
		s := stepper{yield: yield}
		s.to(NoBeam, "")
		s.after(p.NoBeamNotReadyDelay)
		s.to(BeamNotReady, message.TypeRunImminent)
		s.after(p.BroadcastDelay + p.BeamNotReadyDelay)
		s.to(BeamReady, "")
		s.after(p.BeamReadyDelay)
		s.to(Physics, message.TypeStartRun)
		s.after(p.BroadcastDelay)
		taken := 0
		for period := 0; !s.stopped; period++ {
			n := p.periodSTFs(period, taken)
			start := s.step.Tick
			for i := range n {
				s.step.Tick = start + time.Duration(i+1)*p.STFInterval + p.STFGenerationTime
				taken++
				s.take(taken)
			}
			length := p.PhysicsPeriodDuration
			if p.STFCount > 0 {
				length = time.Duration(n) * p.STFInterval
			}
			s.step.Tick = max(s.step.Tick, start+length)
			if period+1 == p.PhysicsPeriodCount || (p.STFCount > 0 && taken >= p.STFCount) {
				break
			}
			s.to(Standby, message.TypePauseRun)
			s.after(p.StandbyDuration)
			s.to(Physics, message.TypeResumeRun)
		}
		s.to(BeamNotReady, message.TypeEndRun)
		s.after(p.BeamNotReadyEndDelay)
		s.to(NoBeam, "")
	}
}

// stepper yields steps until the reader has enough.
type stepper struct {
	yield   func(Step) bool
	step    Step
	stopped bool
}

func (s *stepper) emit() {
	if !s.stopped {
		s.stopped = !s.yield(s.step)
	}
	s.step.Index++
}

func (s *stepper) to(c Condition, msg string) {
	s.step.Condition, s.step.Message, s.step.Sequence = c, msg, 0
	s.emit()
}

func (s *stepper) take(sequence int) {
	s.step.Message, s.step.Sequence = "", sequence
	s.emit()
}

func (s *stepper) after(d time.Duration) { s.step.Tick += d }
