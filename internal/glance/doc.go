// Package glance is what a board means to a shifter, whether he looks at the page or at a terminal: what is wrong, in words, and how many
// workers there are in all.
package glance
