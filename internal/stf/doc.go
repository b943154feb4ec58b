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
// LZ4 level 1 in baskets of 128 KiB, so that the frames of a slice lie side by side; reading a range touches little more than
// the frames asked for.
//
// Files are read by internal/rootfile, which trusts none; here is what their trees hold. And this package is linked into payload
// and daq programs only, never into the pilot. It has no goroutines.
//
// [OpenEvents] reads files of simulated events, which others have written, with the same care.
package stf
