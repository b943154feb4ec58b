// Package eicrecon runs the experiment's reconstruction, EICrecon, as the production worker does: one process per slice, or one
// daemon for many slices that is asked over ZeroMQ.
package eicrecon
