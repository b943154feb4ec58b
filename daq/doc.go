// Package daq is the detector side: it takes a run through its states, writes time-frame files and asks for their processing.
//
// A plan ([tfpilot/internal/runplan]) says what happens in a run, as a sequence of steps. [DAQ.Run] takes them in real time or as
// fast as they go. For every Super Time Frame it plays all roles of the production system between the detector and the
// workers: the file is written and announced (stf_gen), taken in (stf_ready), sampled (tf_file_registered) and sliced (slice).
//
// The [Journal] (daq/journal) holds the position in the plan and the books of results. A daq that was killed goes on where it
// was and publishes the same slices under the same identities, so nothing is doubled and nothing is left out. A daq that is
// stopped in order finishes the STF under way and sends end_run with the number of slices there really are, because workers
// of a run that nobody ends would wait for it.
//
// The [Books] are those of fast processing: every slice by its req_id with what became of it.
//
// Goroutines: one writes the next STF's file while the present one is sliced (with helpers on all cores, see [Write]), one
// reads results; DAQ.Run owns both and returns when they have ended.
package daq
