// Package report shows people and scripts what became of a slice that was run on a laptop: the verdict and what a pilot would do
// about it, where the time went, what it took of the machine, and what it gave back. It starts nothing.
package report
