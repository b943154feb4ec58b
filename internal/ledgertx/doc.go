// Package ledgertx is a transaction of the ledger, on rows of text and numbers.
//
// A [Batch] is what the rules of the ledger work in: it reads a run, its histograms, a slice once, and writes once what they have
// changed. [Rows] is all that a store has to know for that: idds/sqlite and idds/postgres are such rows.
package ledgertx
