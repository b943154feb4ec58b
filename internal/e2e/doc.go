// Package e2e holds the tests of whole chains: real programs as processes on loopback, real time-frame files, kill -9; and those
// that hold the reconstruction to the simulated truth.
package e2e
