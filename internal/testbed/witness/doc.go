// Package witness sees beside the programs of a chain what becomes of their results: what a consumer of a fan-out queue sees of
// them, and what pilots send, heard at a proxy. From both it knows how many results the broker has absorbed, without asking
// the broker.
//
// Goroutines: [Witness.Run] is the caller's; one for each ear, until its Close.
package witness
