// Package detsim is the built-in detector: a small but honest simulation of a central tracker that streams.
//
// The detector ([Central]) has the radii of ePIC's silicon barrel and of its AC-LGAD time-of-flight barrel, the 1.7 T of its
// solenoid, and the resolutions of their sensors; layers are longer than the real ones, because there are no disks here that
// take over beyond |eta| = 1.
//
// Collisions happen at random times in a frame. Each makes a vertex and several charged particles, which fly on helices
// through the layers and leave smeared hits: position in r-phi and along z, and a time that is uniform within the integration
// time of a pixel (2 us) or Gaussian with 30 ps in the timing layer. Hits get lost (efficiency), and noise is added. The hits
// of a frame are sorted by time and carry no event number: overlapping collisions overlap. What was simulated goes to the
// truth.
//
// Left out: multiple scattering, energy loss, decays, and collisions within 2 us of a frame's ends, whose hits would be in the
// next frame.
//
// A frame depends on (seed, STF, frame number) only, so that frames can be made in any order and a restart makes the same.
package detsim
