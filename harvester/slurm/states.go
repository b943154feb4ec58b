package slurm

import (
	"slices"
	"strings"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// native is what one of Slurm's words for a state means.
type native struct {
	state harvester.State
	cause exitcode.Failure
	words string
}

// states are all base states and flags of Slurm 20.11 to 25.05. squeue shows a flag in place of the state that it goes with.
var states = map[string]native{
	"PENDING":       {state: harvester.Queued},
	"CONFIGURING":   {state: harvester.Queued, words: "its node is being made ready"},
	"POWER_UP_NODE": {state: harvester.Queued, words: "its node is being powered up"},
	"REQUEUED":      {state: harvester.Queued, words: "Slurm has put it back into the queue"},
	"REQUEUE_FED":   {state: harvester.Queued, words: "Slurm has put it back into the queue"},
	"EXPEDITING":    {state: harvester.Queued, words: "Slurm has put it back into the queue, at its head"},
	"REQUEUE_HOLD":  {state: harvester.Held, words: "Slurm has put it back into the queue, held"},
	"SPECIAL_EXIT":  {state: harvester.Held, words: "Slurm has put it back into the queue, held, after a failure"},
	"RESV_DEL_HOLD": {state: harvester.Held, words: "held: its reservation was deleted"},

	"RUNNING":   {state: harvester.Running},
	"RESIZING":  {state: harvester.Running},
	"SIGNALING": {state: harvester.Running},
	"SUSPENDED": {state: harvester.Suspended, words: "suspended by Slurm"},
	"STOPPED":   {state: harvester.Suspended, words: "stopped by a signal"},

	"COMPLETING": {state: harvester.Ending},
	"STAGE_OUT":  {state: harvester.Ending, words: "its data are being staged out"},

	"COMPLETED":     {state: harvester.Ended},
	"FAILED":        {state: harvester.Ended},
	"CANCELLED":     {harvester.Ended, exitcode.Cancelled, "cancelled"},
	"TIMEOUT":       {harvester.Ended, exitcode.Walltime, "ended by Slurm at its time limit"},
	"DEADLINE":      {harvester.Ended, exitcode.Walltime, "ended by Slurm at its deadline"},
	"PREEMPTED":     {harvester.Ended, exitcode.Preempted, "preempted by another job"},
	"OUT_OF_MEMORY": {harvester.Ended, exitcode.SlotMemory, "ended because the slot was out of memory"},
	"NODE_FAIL":     {harvester.Ended, exitcode.NodeFailed, "its node does not answer; its processes may live until it does"},
	"BOOT_FAIL":     {harvester.Ended, exitcode.LaunchFailed, "its node did not boot"},
	"LAUNCH_FAILED": {harvester.Ended, exitcode.LaunchFailed, "Slurm could not start it on its node"},
	"RECONFIG_FAIL": {harvester.Ended, exitcode.LaunchFailed, "its node could not be configured"},
	"REVOKED":       {harvester.Ended, exitcode.Cancelled, "revoked: another cluster of the federation took it"},
}

// hopeless are reasons of pending jobs that no waiting mends. squeue of 22.05 prints some with spaces, 24.11 with underscores.
var hopeless = []string{
	"JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue", "launch_failed_requeued_held", "job_requeued_in_held_state", "DependencyNeverSatisfied",
	"BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed", "QOSNotAllowed", "PartitionTimeLimit", "ReservationDeleted",
}

// openFailed is the "signal" of a batch job whose output file could not be opened on its node.
const openFailed = 53

// status says what a state and its reason mean; code and signal are how it ended, if it has. ran says that it had a node.
func status(word, reason string, code, signal int, ran bool) harvester.Status {
	st := harvester.Status{Native: word, ExitCode: -1}
	n, known := states[word]
	if !known {
		st.State, st.Reason = harvester.Unknown, "Slurm says "+word+", which is not known here"
		return st
	}
	st.State, st.Cause, st.Reason = n.state, n.cause, n.words
	reason = strings.ReplaceAll(reason, " ", "_")
	if reason == "None" || reason == "(null)" || strings.EqualFold(reason, "N/A") {
		reason = ""
	}
	switch {
	case st.State == harvester.Ended && ran:
		ended(&st, code, signal)
		return st
	case st.State == harvester.Ended:
		if st.Cause.Code == exitcode.Cancelled.Code {
			st.Reason = "cancelled before it started"
		}
		return st
	case st.State == harvester.Queued && slices.ContainsFunc(hopeless, func(h string) bool { return strings.EqualFold(h, reason) }):
		st.State = harvester.Held
	}
	// Slurm's own word is what one finds in its manual.
	if reason != "" {
		st.Reason = strings.TrimPrefix(st.Reason+"; "+reason, "; ")
	}
	return st
}

// ended fills in how a job ended that had started.
func ended(st *harvester.Status, code, signal int) {
	switch {
	case signal == openFailed && code == 0:
		st.Cause = exitcode.LaunchFailed
		st.Reason = "its node could not open its output file: the node does not see the state folder, may not write to it, or finds its disk full"
	case signal != 0:
		st.Signal = signal
		if st.Reason == "" {
			st.Reason = exitcode.SignalWords(signal)
		}
	case code != 0 || st.Cause.Code == 0:
		st.ExitCode = code
		if st.Reason == "" {
			st.Reason = exitcode.StatusWords(code)
		}
	}
	// Status 0 of one that Slurm ended says nothing: it is noted before the job is gone.
}
