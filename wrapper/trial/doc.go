// Package trial runs a payload on one slice many times, several at once, and finds what a single run does not show: verdicts and
// results that differ, how long it takes as a rule and at worst, and what is left behind or grows.
//
// Goroutines: one for each slot, until [Run] returns.
package trial
