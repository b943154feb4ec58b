// Package whereabouts says where slices are and what has become of them, from what the ledger has noted and what workers report to
// hold: the [Records] of slices with the place of each, the [History] of one, and the attempts that nobody holds ([Attendance]).
//
// It asks no store and no clock: whoever does gives it what they say.
package whereabouts
