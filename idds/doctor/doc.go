// Package doctor examines what an idds stands on, before and during a run: its broker with every destination, duplicate
// detection, dead letters, a second actor for one of its duties, its store, disk and clock.
//
// [Examine] works on the broker as a user of it: it sends probes and sees where they come out. A probe harms nobody: it is a
// heartbeat, which everybody ignores, of a namespace and a run of its own, which no selector lets through, and it expires. All
// probes are taken back. What Artemis says of itself over its management address, where the user may ask, is used to name a cause,
// never instead of a probe.
//
// One check after the other, each bounded by Config.Limit; no goroutine outlives Examine.
package doctor
