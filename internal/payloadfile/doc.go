// Package payloadfile is what the TOML file of a payload says: read strictly, with its defaults, and held to what can be, so that
// every mistake is named at once with its line. A [Spec] also stands for a payload that is built in, which has no file.
//
// It says what a payload is to be, and nothing of it is run here: package payload and its kinds do that, wrapper asks it which input
// a slice is given and what its outputs are called, the commands show it. What of a file has a meaning only together with a slice is
// answered here too, by pure functions: [Variables], [OutputRules.FileName], [Failures.Meaning]. It starts no goroutine.
package payloadfile
