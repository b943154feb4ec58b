// Package stf is the time-frame file: a ROOT file that ROOT and uproot open, written and read without ROOT.
//
// An STF file holds:
//
//	hits      TTree, one entry per time frame: tf (number in the file, from 0), nhit, and counted arrays time[nhit] (ns in
//	          the frame), x, y, z (mm), layer (index into the geometry, where it has layers), and crc, a CRC-32C
//	          over all of them. Further counted numeric columns pass through unchanged ([Frame].Extra) and are in the crc too.
//	truth     TTree, one entry per time frame: the collisions and particles behind the hits (simulation only).
//	geometry  TObjString, JSON of [Geometry]; beside it geometry_crc, the CRC-32C of that text in hexadecimal.
//
// The checksums are there because nothing in ROOT notices a wrong byte. Files are written under a temporary name, with
// LZ4 level 1 in baskets of 128 KiB, so that the frames of a slice lie side by side; reading a range goes through a block
// cache and touches little more than the frames asked for.
//
// The library below (go-hep's groot) trusts what it reads: a damaged file would make it panic, now and then in a goroutine of its
// own, or allocate gigabytes. So nothing reaches it unchecked: lengths and ROOT's own checksums are compared when a file is opened
// and when a basket is read. What it panics on all the same is returned as an error of class data where it can be recovered.
// And this package is linked into payload and daq programs only, never into the pilot.
//
// [OpenEvents] reads files of simulated events, which others have written, with the same care.
//
// Histograms of internal/hist go to ROOT and back by [WriteHistograms] and [ReadHistograms].
package stf
