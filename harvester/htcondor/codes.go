package htcondor

import (
	"fmt"

	"tfpilot/internal/exitcode"
)

// hold is one of HTCondor's reasons to hold a job.
type hold struct {
	text  string
	cause exitcode.Failure // of a pilot that was held for it, and then removed
}

// holds are HTCondor's HoldReasonCodes. Those that are not here belong to universes that we do not use.
var holds = map[number]hold{
	0:  {"held", exitcode.LaunchFailed},
	1:  {"held by a user", exitcode.Cancelled},
	3:  {"its own hold policy", exitcode.Cancelled},
	4:  {"its credential is not valid", exitcode.LaunchFailed},
	5:  {"a policy expression of it is undefined", exitcode.LaunchFailed},
	6:  {"the node could not start the program", exitcode.LaunchFailed},
	7:  {"its output file could not be opened", exitcode.LaunchFailed},
	8:  {"its input file could not be opened", exitcode.LaunchFailed},
	9:  {"its output could not be streamed", exitcode.LaunchFailed},
	10: {"its input could not be streamed", exitcode.LaunchFailed},
	11: {"the file transfer went wrong", exitcode.LaunchFailed},
	12: {"its output could not be transferred", exitcode.LaunchFailed},
	13: {"its input could not be transferred", exitcode.LaunchFailed},
	14: {"its folder cannot be used (where nodes do not see the state folder, set transfer)", exitcode.LaunchFailed},
	15: {"it was submitted on hold", exitcode.Cancelled},
	16: {"its input is being spooled", exitcode.LaunchFailed},
	17: {"the shadow does not fit the job", exitcode.LaunchFailed},
	18: {"the file transfer went wrong", exitcode.LaunchFailed},
	19: {"the hook of the machine that prepares jobs failed", exitcode.LaunchFailed},
	20: {"it missed the time for its start", exitcode.LaunchFailed},
	21: {"the policy of the machine", exitcode.LaunchFailed},
	22: {"its event log could not be opened", exitcode.LaunchFailed},
	23: {"the user's account could not be used", exitcode.LaunchFailed},
	24: {"no shadow fits the job", exitcode.LaunchFailed},
	25: {"its cron settings are invalid", exitcode.LaunchFailed},
	26: {"the policy of the site", exitcode.Cancelled},
	27: {"the policy of the site is undefined", exitcode.LaunchFailed},
	28: {"its folder could not be given to the user", exitcode.LaunchFailed},
	32: {"its input is larger than the site takes", exitcode.LaunchFailed},
	33: {"its output is larger than the site takes", exitcode.LaunchFailed},
	34: {"it took more than it had asked for", exitcode.SlotMemory},
	35: {"its container image is invalid", exitcode.LaunchFailed},
	36: {"its checkpoint failed", exitcode.LaunchFailed},
	43: {"its pre script failed", exitcode.LaunchFailed},
	44: {"its post script failed", exitcode.LaunchFailed},
	45: {"the node's container runtime does not work", exitcode.LaunchFailed},
	46: {"it was in the queue for too long", exitcode.Walltime},
	47: {"its wall time is over", exitcode.Walltime},
	48: {"the hook of the schedd that prepares jobs failed", exitcode.LaunchFailed},
}

// vacate is one of HTCondor's reasons to take a job off its machine.
type vacate struct {
	text  string
	cause exitcode.Failure
}

// vacates are HTCondor's VacateReasonCodes. 1005 stands for any eviction of which it knows no more.
var vacates = map[number]vacate{
	1000: {"its own policy", exitcode.Preempted},
	1001: {"the policy of the site", exitcode.Preempted},
	1002: {"its shadow met an error", exitcode.NodeFailed},
	1003: {"the machine could not set it up", exitcode.LaunchFailed},
	1004: {"somebody vacated it", exitcode.Preempted},
	1005: {"the machine gave it up", exitcode.Preempted},
	1006: {"the machine did not take it", exitcode.LaunchFailed},
	1007: {"the machine met an error with it", exitcode.LaunchFailed},
	1008: {"its machine was lost", exitcode.NodeFailed},
	1009: {"the schedd ended its claim", exitcode.Preempted},
	1010: {"the administrator vacated the machine", exitcode.Preempted},
	1011: {"the machine's policy preempts it", exitcode.Preempted},
	1012: {"the machine's startd died", exitcode.NodeFailed},
	1013: {"the machine's startd was shut down", exitcode.NodeFailed},
	1014: {"the machine is drained", exitcode.Preempted},
	1015: {"the slot was given to another with condor_now", exitcode.Preempted},
	1016: {"the machine went to sleep", exitcode.Preempted},
	1017: {"the schedd released its claim", exitcode.Preempted},
	1018: {"the machine prefers another job", exitcode.Preempted},
	1019: {"a user with a better priority wants the slot", exitcode.Preempted},
	1020: {"the virtual machine software failed", exitcode.LaunchFailed},
	1021: {"the container software failed", exitcode.LaunchFailed},
	1022: {"the schedd vacated it", exitcode.Preempted},
	1023: {"it was removed", exitcode.Cancelled},
	1024: {"the scratch folder of the machine failed", exitcode.LaunchFailed},
	1025: {"it had made a checkpoint and lost its claim", exitcode.Preempted},
}

// refusedFirst to refusedLast: the machine refused to activate a claim, each for another reason.
const refusedFirst, refusedLast = 1026, 1036

func vacateCause(code number) exitcode.Failure {
	if v, known := vacates[code]; known {
		return v.cause
	}
	if code >= refusedFirst && code <= refusedLast {
		return exitcode.LaunchFailed
	}
	// A hold code: held, released, and then evicted. Or a version that tells no reason.
	if h, known := holds[code]; known && code > 0 {
		return h.cause
	}
	return exitcode.Preempted
}

func vacateWords(code number, reason text) string {
	words := string(reason)
	if v, known := vacates[code]; known {
		if words == "" {
			words = v.text
		} else {
			words = v.text + ": " + words
		}
	}
	if words == "" {
		words = "HTCondor tells no reason"
	}
	if code == 0 {
		return words
	}
	return fmt.Sprintf("%s (vacate code %d)", words, code)
}
