// Package stagein is the cache of input files on a node: whole files of remote storage, fetched once however many slots and pilots
// ask for them.
//
// The folder belongs to one user and may be shared by all pilots of that user on the node. A file has a folder and a lock beside it,
// both named after its address, size and checksum. The lock is the kernel's: exclusive for who fetches or removes, shared for who uses
// it. Whoever is killed thereby gives up what he had, and what he left half fetched is overwritten, or removed when room is
// needed. A file appears under its own name when it is whole: its size and, where the slice or the server names one, its adler32 have
// been compared.
//
// Room is made before something is fetched, by removing what nobody uses, the least recently used first. When all is in use, one
// waits until something is not.
//
// https:// comes by internal/rangefile, root:// by the program xrdcp, whose output goes through a pipe: so we see how far it is, stop it
// when nothing comes, and sum what it brings while it comes.
//
// Goroutines: those of processes and of net/http, until [Cache.Get] returns.
package stagein
