//go:build !race

package simulate_test

// seeds are those that the policy is held to; none of them was looked at when it was made.
func seeds() []uint64 { return []uint64{1001, 1002, 1003} }
