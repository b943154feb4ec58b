// Package rootfile reads ROOT files without ROOT, and trusts none of them.
//
// The library below (go-hep's groot) trusts what it reads: a damaged file would make it panic, now and then in a goroutine of its
// own, or allocate gigabytes. So nothing reaches it unchecked: lengths and ROOT's own checksums are compared when a file is opened
// ([Open], [OpenAt]) and when a basket is read; counts are read alone and bounded before what they count ([Tree.CheckCounts]). What
// it panics on all the same is returned as an error of class data where it can be recovered: [File.Recover], and [Recover] for files
// that are being written. And this package is linked into payload, daq and idds programs only, never into the pilot.
//
// Reading goes through a block cache, and touches little more than the baskets asked for: a slice is a part of a file. Errors say
// whether the file is missing, damaged, or whole and something else than was meant ([Kind]).
//
// Histograms of internal/hist go to ROOT and back by [WriteHistograms] and [ReadHistograms]. What the trees of a time-frame file
// hold is the matter of internal/stf.
//
// It has no goroutines; the library reads the branches of a tree in some of its own, which end with the [Tree.Scan] or the file.
package rootfile
