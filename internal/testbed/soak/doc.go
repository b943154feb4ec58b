// Package soak takes very many slices that do nothing through one pilot, and samples what its process and the broker's hold
// meanwhile: `testbed soak`. What grows with the number of slices is found here before a run of months finds it.
//
// The broker is the embedded one, the pilot is on its own: no idds, whose ledger is to keep every slice. [Run] publishes the
// slices, never far ahead, and consumes the results, so that each is known to have come once.
//
// Goroutines of a process are counted by its runtime: GODEBUG=schedtrace,scheddetail makes every Go program print its scheduler's
// state, the programs need nothing for it. Memory and descriptors are what /proc says.
//
// Goroutines here: the link, the publishers, the consumer and the sampler, owned by Run.
package soak
