// Package keeper runs programs so that nothing of them survives, not even when this process is killed without a chance to end
// them, and nothing else is touched. It measures them ([Meter]) and holds them to limits.
//
// A keeper is a process of ours between this one and the program: this same executable, started again through /proc/self/exe.
// It is told by its name and a variable that it is one, before anything else of the program runs, so that it does not matter
// what the executable is called. Everything that the program starts descends from its keeper, whatever it does to its session,
// its group, its environment and its parents. When the program has ended, or this process is gone (the socket between the two
// breaks), the keeper kills until it has no descendants.
//
// How strong that is depends on what the site allows; [Auto] takes the first of these that works:
//
//   - [Namespace]: the keeper is process 1 of a process namespace. The kernel kills what is in it when the keeper dies, and the
//     keeper dies with this process. Ordinary users need user namespaces for it.
//   - [Cgroup]: the keeper is in a control group, by which what is left is found should somebody kill the keeper too.
//   - [Session]: the keeper is the subreaper of its descendants.
//
// Starting a keeper takes some milliseconds, so they are kept for the next program ([Keepers]): one for each that runs at once.
//
// Goroutines: two for each keeper until [Keepers.Close]; one more for each running program, and those of its streams.
package keeper
