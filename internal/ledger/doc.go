// Package ledger is the law of accounting: what becomes of a slice.
//
// [Rules] are pure decisions on a [Slice] and its [Run], made inside a transaction of a [Store]: what a published slice, a result, a
// lost attempt, a silent worker or another program's message changes, what is sent again, and when a run is over. They know no
// broker and no clock. idds feeds them; idds/sqlite keeps what they write; idds/storetest holds both to a model. What the results of a
// run add up to is in its [Run], and package sums adds it.
package ledger
