// Package demand decides how many workers are wanted: per run, and at which site.
//
// [Policy.Decide] is a pure function. All that it knows is a [Snapshot]: what the runs asked for, the slices that come, wait and run,
// what a slice and the start of a worker take, the workers by site, the time, and what was decided before ([Memory]). So it can be
// tested, and compared with other ways to decide, in simulated time: internal/demand/simulate.
//
// It thinks in slots. A run that gets r slices a second of s seconds each keeps r*s slots busy; what is beyond that drains the
// queue, and what is missing lets it grow. The goal is a time from data taken to result, so slices may wait for what their own
// processing leaves of it: a queue that is not empty is what keeps workers busy, and buys the smallest number of them.
//
// The numbers follow from what is measured, as in inventory control with a lead time: who is asked for now comes when a start is
// over, so that it is the queue of then that counts, with what chance may add to it nine times in ten (from how unevenly slices
// come, how much they differ, and how well the rate is known). Fewer are wanted when for some time, that of a start at least, none of
// them was needed: a worker that is sent away too early costs another start.
//
// [Meter] and [Times] are how a snapshot's numbers are measured. No goroutines.
package demand
