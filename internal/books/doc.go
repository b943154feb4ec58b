// Package books tells what stands in the ledger of idds, as documents: runs with their accounting and whether it adds up, slices with the
// place where each is and their histories, pilots with whether they are alive ([Books]). It writes nothing.
//
// It asks the store for rows, internal/whereabouts what they say of slices, and internal/latency what runs have taken. No goroutines.
package books
