// Package runplan says what happens in a run before anything does: pure values, without a clock, a disk or a broker.
//
// A [Plan] is what people choose. [Plan.Steps] are the whole run in order: the [Condition] that the detector enters, the run
// message that goes out, the STF that is taken, and when. [Condition.To] is the law of what may follow on what. Of an [STF] that was
// taken, [Plan.Samples] and [Plan.Slices] are what is registered and sliced: which [Range] of frames, under which names and
// identities. All chance comes from the plan's seed, so that a daq that is started again says the same.
//
// daq carries it out, and `daq plan` prints it. It has no goroutines.
package runplan
