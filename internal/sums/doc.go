// Package sums is what the results of a run add up to: counts, histograms, and what the versions of payloads took.
//
// A store keeps them in its row of the run, and writes them anew with every batch of results. So all of them are bounded, whatever workers
// claim: in how many there are ([AddCounts], [AddHistograms], [Payloads]) and in what one result can do to them. A result whose part of
// them is refused counts all the same; that is for [tfpilot/internal/ledger] to say, which decides whose results are added, and once.
//
// Nothing here waits or locks: who holds a run's transaction calls.
package sums
