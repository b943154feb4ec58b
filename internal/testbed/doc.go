// Package testbed starts the programs of tfpilot as separate processes on one machine, watches a run from the outside and
// reports what became of every slice.
//
// [Demo] is the whole story: [Stack] starts broker, idds, harvester and daq on free loopback ports in one state directory,
// [Watch] follows the run through idds' REST API and shows progress, [Report] is what remains: report.json for machines,
// report.html and histograms for people. Nothing here reaches into another program: what the testbed knows, an operator
// could know too.
//
// Goroutines: one per process, which waits for it, owned by the Stack; Stop ends them all, in the reverse order of their
// start. Every process holds the lifeline (internal/program), so that killing the testbed ends them too.
package testbed
