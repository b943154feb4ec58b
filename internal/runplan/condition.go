package runplan

import (
	"fmt"
	"slices"
)

// State is what the machine does.
type State string

// The states of protocol and control room.
const (
	StateOff    State = "off"
	StateNoBeam State = "no_beam"
	StateBeam   State = "beam"
	StateRun    State = "run"
	StateCalib  State = "calib"
	StateTest   State = "test"
)

// Substate is how ready the detector is, or what its data are for.
type Substate string

// The substates: readiness first, then kinds of data.
const (
	SubstateNone     Substate = ""
	SubstateNotReady Substate = "not_ready"
	SubstateReady    Substate = "ready"
	SubstatePhysics  Substate = "physics"
	SubstateStandby  Substate = "standby"
	SubstateLumi     Substate = "lumi"
	SubstateEIC      Substate = "eic"
	SubstateEPIC     Substate = "epic"
	SubstateDAQ      Substate = "daq"
	SubstateCalib    Substate = "calib"
)

// Condition is a state with its substate.
type Condition struct {
	State    State
	Substate Substate
}

// The conditions that a run goes through.
var (
	Off          = Condition{StateOff, SubstateNone}
	NoBeam       = Condition{StateNoBeam, SubstateNotReady}
	BeamNotReady = Condition{StateBeam, SubstateNotReady}
	BeamReady    = Condition{StateBeam, SubstateReady}
	Physics      = Condition{StateRun, SubstatePhysics}
	Standby      = Condition{StateRun, SubstateStandby}
)

// transitions is the whole law. Calibration and test are states of the protocol, but nobody has said how they are entered;
// data substates are labels of data, not steps of a run.
var transitions = map[Condition][]Condition{
	Off:          {NoBeam},
	NoBeam:       {BeamNotReady, Off},
	BeamNotReady: {BeamReady, NoBeam},
	BeamReady:    {Physics, BeamNotReady, NoBeam},
	Physics:      {Standby, BeamNotReady, Off},
	Standby:      {Physics, BeamNotReady, Off},
}

// substates says where each substate has a meaning; in test every one has.
var substates = map[Substate][]State{
	SubstateNone:     {StateOff, StateNoBeam, StateBeam, StateRun, StateCalib},
	SubstateNotReady: {StateNoBeam, StateBeam, StateCalib},
	SubstateReady:    {StateBeam},
	SubstatePhysics:  {StateRun},
	SubstateStandby:  {StateRun},
	SubstateLumi:     {StateBeam, StateRun},
	SubstateEIC:      {StateOff, StateNoBeam, StateBeam, StateRun, StateCalib},
	SubstateEPIC:     {StateOff, StateNoBeam, StateBeam, StateRun, StateCalib},
	SubstateDAQ:      {StateOff, StateNoBeam, StateBeam, StateRun, StateCalib},
	SubstateCalib:    {StateOff, StateNoBeam, StateBeam, StateRun, StateCalib},
}

// TransitionError is a step that the law does not have.
type TransitionError struct{ From, To Condition }

// Error names both ends.
func (e *TransitionError) Error() string {
	return fmt.Sprintf("illegal transition from %s to %s", e.From, e.To)
}

// String is state/substate.
func (c Condition) String() string {
	if c.Substate == SubstateNone {
		return string(c.State)
	}
	return string(c.State) + "/" + string(c.Substate)
}

// Validate answers whether the substate has a meaning in the state.
func (c Condition) Validate() error {
	states, ok := substates[c.Substate]
	if !ok {
		return fmt.Errorf("unknown substate %q", c.Substate)
	}
	if c.State != StateTest && !slices.Contains(states, c.State) {
		return fmt.Errorf("no substate %q in state %q", c.Substate, c.State)
	}
	return nil
}

// To answers whether the detector may go from c to next; the error is a [*TransitionError].
func (c Condition) To(next Condition) error {
	if !slices.Contains(transitions[c], next) {
		return &TransitionError{From: c, To: next}
	}
	return nil
}
