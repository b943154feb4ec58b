// Package htcondor is the batch system HTCondor: pilots are jobs of its vanilla universe, or, through the grid universe, of a
// site behind an HTCondor-CE.
//
// It is asked by its own commands, one for each call: condor_submit with the description on its standard input, condor_q for
// everything that is queued, runs or has just ended, condor_history for what the queue has forgotten, condor_rm. Each has a time
// limit, and what it prints is bounded.
//
// What the submit descriptions hold to, each for a reason that was met with a real pool:
//
//   - A pilot is started once. HTCondor starts what was evicted again, also when the pilot ended itself on the signal, and the
//     slices that it held are long with others. An evicted one is removed, and matches no machine until it is. What counts is
//     NumShadowStarts: NumJobStarts is forgotten when a schedd crashes.
//   - The wall time is held by periodic_remove. allowed_execute_duration holds instead of removing, and does nothing at all for
//     jobs without file transfer.
//   - A held pilot is removed after a while, and its status still says why; what a user holds stays.
//   - Output is streamed where it is transferred: of a job that is removed, nothing else comes back.
//   - What has ended stays in the queue for a while, so that one condor_q tells of all.
//   - The lease is short: while it runs, a pilot of a node that is lost is said to be running.
//
// It starts no goroutines.
package htcondor
