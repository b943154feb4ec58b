// Package chaos breaks the chain on purpose and accounts for every slice: `testbed chaos`.
//
// [Run] starts the chain of package testbed with a proxy (internal/faultproxy) between each program and the broker, and takes
// one run after another through it. Into each it injects one kind of fault, at points that the seed chooses. Who judges is not
// who worked: idds has its ledger, and beside it a witness reads a fan-out queue on a link that nobody breaks, an ear at the
// pilots' proxy hears what they send, and the payloads note every execution. [Report] puts them side by side; its verdict is
// that of every invariant that can be seen from outside.
//
// Goroutines: one for each proxy, the link and the witness, owned by Run and ended after the programs; one for each ear, which
// ends with its link; one that looks whether the present run is over.
package chaos
