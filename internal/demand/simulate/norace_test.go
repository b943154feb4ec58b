//go:build !race

package simulate_test

// seeds are those that the policy is held to.
func seeds() []uint64 { return []uint64{1, 2, 3} }
