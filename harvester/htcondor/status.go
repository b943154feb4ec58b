package htcondor

import (
	"fmt"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// JobStatus, as HTCondor numbers it.
const (
	statusIdle      number = 1
	statusRunning   number = 2
	statusRemoved   number = 3
	statusCompleted number = 4
	statusHeld      number = 5
	statusOutput    number = 6
	statusSuspended number = 7
)

var statusWords = map[number]string{
	statusIdle: "idle", statusRunning: "running", statusRemoved: "removed", statusCompleted: "completed", statusHeld: "held",
	statusOutput: "transferring output", statusSuspended: "suspended",
}

// status is what an ad says, in the harvester's words.
func (a ad) status() harvester.Status {
	st := harvester.Status{
		Native: fmt.Sprintf("%d", a.Status), Node: a.node(), ExitCode: -1, Starts: int(max(a.Starts, min(a.Shadows, 1))),
		QueuedAt: at(a.QueuedAt), StartedAt: at(a.started()),
	}
	word, known := statusWords[a.Status]
	if !known {
		st.State, st.Reason = harvester.Unknown, fmt.Sprintf("HTCondor says JobStatus %d, which is not known here", a.Status)
		return st
	}
	st.Native += " (" + word + ")"
	switch a.Status {
	case statusIdle:
		st.State, st.Reason, st.StartedAt = harvester.Queued, a.whyIdle(), time.Time{}
	case statusRunning:
		if a.RemoteHost == "" && a.Shadows == 0 && !a.grid() {
			st.State, st.Reason = harvester.Queued, "it has a slot and is being started"
			break
		}
		st.State = harvester.Running
		if a.WallTime > 0 && !st.StartedAt.IsZero() {
			st.EndsAt = st.StartedAt.Add(time.Duration(a.WallTime) * time.Second)
		}
	case statusHeld:
		st.State, st.Reason = harvester.Held, a.whyHeld(a.HoldCode, a.HoldReason)
	case statusSuspended:
		st.State, st.Reason = harvester.Suspended, "the machine has suspended it"
	case statusOutput:
		st.State = harvester.Ending
	case statusCompleted:
		st.State, st.EndedAt = harvester.Ended, at(a.ended())
		a.exit(&st)
	case statusRemoved:
		// Until its processes are gone it is still on a machine.
		st.State, st.Reason = harvester.Ending, string(a.RemoveReason)
		if a.RemoteHost == "" {
			st.State, st.EndedAt = harvester.Ended, at(a.EnteredAt)
		}
		a.removed(&st)
	}
	return st
}

func (a ad) ended() number {
	if a.CompletedAt > 0 {
		return a.CompletedAt
	}
	return a.EnteredAt
}

// exit says how the pilot itself ended.
func (a ad) exit(st *harvester.Status) {
	if a.BySignal {
		st.Signal = int(a.Signal)
		st.Reason = exitcode.SignalWords(st.Signal)
		return
	}
	st.ExitCode = int(a.ExitCode)
	st.Reason = exitcode.StatusWords(st.ExitCode)
}

// policy is in the reason of what our own periodic_remove has removed.
const policy = "PeriodicRemove"

// removed says why it was removed: by somebody, or by our periodic_remove, which goes by what it was before.
func (a ad) removed(st *harvester.Status) {
	if a.BySignal {
		st.Signal = int(a.Signal)
	}
	if !strings.Contains(string(a.RemoveReason), policy) {
		st.Cause = exitcode.Cancelled
		return
	}
	switch a.LastStatus {
	case statusRunning, statusSuspended, statusOutput:
		st.Cause = exitcode.Walltime
		st.Reason = "removed at the end of its wall time of " + (time.Duration(a.WallTime) * time.Second).String()
	case statusHeld:
		st.Cause = a.holdCause()
		st.Reason = "removed from hold: " + a.whyHeld(a.LastHoldCode, a.LastHoldReason)
	default:
		st.Cause = vacateCause(a.VacateCode)
		st.Reason = "evicted, and not to be started again: " + vacateWords(a.VacateCode, a.VacateReason)
	}
}

// unmatched reports whether it waits, and the last look for a machine found none.
func (a ad) unmatched() bool {
	return a.Status == statusIdle && a.Shadows == 0 && a.RejectedAt > a.MatchedAt && a.Rejected != ""
}

// whyIdle says what HTCondor tells of a job that waits.
func (a ad) whyIdle() string {
	switch {
	case a.Shadows > 0:
		return "evicted, waits to be started again: " + vacateWords(a.VacateCode, a.VacateReason)
	case a.GridStatus != "":
		return "at the CE it is " + string(a.GridStatus)
	case !a.unmatched():
		return ""
	case a.why != "":
		return a.why
	default:
		return fmt.Sprintf("HTCondor found no machine for it: %s; `condor_q -better-analyze %s` says what each condition leaves", a.Rejected, a.id())
	}
}

// whyHeld says what it is held for, what that means, and what to do.
func (a ad) whyHeld(code number, reason text) string {
	words := string(reason)
	h, known := holds[code]
	if !known {
		return fmt.Sprintf("%s (hold code %d)", words, code)
	}
	if words == "" {
		words = h.text
	} else {
		words = h.text + ": " + words
	}
	return fmt.Sprintf("%s (hold code %d)", words, code)
}

func (a ad) holdCause() exitcode.Failure {
	if h, known := holds[a.LastHoldCode]; known {
		return h.cause
	}
	return exitcode.LaunchFailed
}
