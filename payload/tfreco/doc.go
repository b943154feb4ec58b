// Package tfreco is the reference payload: it reconstructs the tracks and collisions of time frames whose hits carry no event
// number.
//
// Tracks come first. A search starts on triplets of hits on the outer pixel layers that agree within the pixels' integration
// time, follows the helix inward, and fits circle ([Karimäki 1991], distance of closest approach) and line by least squares;
// then the timing layer gives the track a time of some ten picoseconds. Events are tracks that left one place at one time,
// which separates collisions that overlap within the pixels' integration time.
//
// [Reconstructor] works on frames in memory; [Process] is the payload: a range of frames of a file in, counts, histograms and
// a ROOT file out.
//
// [Karimäki 1991]: https://doi.org/10.1016/0168-9002(91)90533-V
package tfreco
