// Package nodetest tells whether a node is fit to work on slices: its disks, its clock, what payloads need of it, and whatever the
// site tests by programs of its own.
//
// What may hang is done by a child: a call on a dead file system cannot be ended, and a process in such a call can neither be killed
// nor waited for. The child is this very program (/proc/self/exe) with [Command] as its first argument, which its main hands to
// [Child]; it is given up after its time, and that it hangs is the finding. The site's programs are started by such a child too,
// since starting a program reads a disk.
//
// [Tests] implements [fitness.Node]. [Tests.Check] looks at what is around the node as well, for people: names, broker, idds, token. A
// pilot finds out about those when it connects, and whether it is the node's fault cannot be told there.
//
// Goroutines: one for each test while [Tests.Test] runs. One that waits for a child that was given up ends when the kernel lets it.
package nodetest
