package document

import (
	"time"
)

// Detector is what the data side says of a run and of itself.
type Detector struct {
	State    string    `json:"state"`
	Substate string    `json:"substate,omitempty"`
	Since    time.Time `json:"since"`
	// STFs were taken, of which STFBytes are known; Announced is what end_run said, absent until then.
	STFs      int   `json:"stfs"`
	STFBytes  int64 `json:"stf_bytes"`
	Announced *int  `json:"announced,omitempty"`
	// LastSTFAt is when the last one was taken.
	LastSTFAt time.Time `json:"last_stf_at,omitzero"`
	// Changes are the states that it had, the present one last; 100 at most.
	Changes []DetectorChange `json:"changes,omitempty"`
}

// DetectorChange is a state that the detector had, from a time on.
type DetectorChange struct {
	At       time.Time `json:"at"`
	State    string    `json:"state"`
	Substate string    `json:"substate,omitempty"`
	MsgType  string    `json:"msg_type,omitempty"`
}
