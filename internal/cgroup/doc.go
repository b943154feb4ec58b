// Package cgroup makes control groups for process trees where the site lets us, of both versions of the interface: v2 delegated
// to the user, and the memory and freezer hierarchies of v1, which mostly need root. A [Group] holds what is in it together,
// whatever it does to its session, its environment and its parents, and has the kernel enforce a limit on its memory.
//
// A group is made below the one that this process is in, so that the batch system's own limits and its kill still cover it. Its
// owner holds a lock on it; what a killed owner left is ended and removed by the next one that makes a group there.
package cgroup
