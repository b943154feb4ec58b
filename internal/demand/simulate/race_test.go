//go:build race

package simulate_test

// seeds are fewer under the race detector: there is one goroutine for each run of a strategy, whatever the seed.
func seeds() []uint64 { return []uint64{1001} }
