// Package demand decides how many workers are wanted: per run, and at which site.
//
// [Policy.Decide] is a pure function. All that it knows is a [Snapshot]: what the runs asked for, the slices that come, wait and run,
// what a slice and the start of a worker take, the workers by site, the time, and what was decided before ([Memory]). So it can be
// tested, and compared with other ways to decide, in simulated time: internal/demand/simulate.
//
// It thinks in slots. A run that gets r slices a second of s seconds each keeps r*s slots busy; what is beyond that drains the
// queue, and what is missing lets it grow. The goal is a time from data taken to result, so slices may wait for a part of what is
// left of it beside their own processing: a queue that is not empty is what keeps workers busy, and buys the smallest number of
// them. More are asked for when the queue, looked at as it will be when they could have started, takes more than that; fewer
// when for some time none of them was needed.
//
// [Meter] and [Times] are how a snapshot's numbers are measured. No goroutines.
package demand
