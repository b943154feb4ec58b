package stagein

import (
	"fmt"
	"time"
)

// Situation is what is known when a program could read either a part of an https file over the network or the whole of it here.
type Situation struct {
	// SizeBytes is that of the file, LimitBytes the most that the cache may hold.
	SizeBytes, LimitBytes int64
	// Slices is how many of this file came to the node, this one included. After so many the file is fetched.
	Slices, After int
	// RTT is a round trip to the server; 0 when it is not known.
	RTT time.Duration
	// Here says that the file is in the cache, or on its way there.
	Here bool
}

// What was measured with XRootD (docs/benchmarks.md): how many requests a slice makes one after the other, and what the network of a
// site brings once it flows. Of a small file a slice is most.
const (
	requestsOfSlice = 16
	bytesPerSecond  = 100 << 20
	smallFile       = 1 << 20
)

// Choose says whether to fetch the whole file, and why. Where it is near, bytes decide: a slice takes its part, and the file is
// fetched when another slice of it shows that more of it is wanted. Where it is far, time decides: a slice waits for many answers
// one after the other, and meanwhile a file of moderate size comes whole.
func Choose(s Situation) (whole bool, reason string) {
	waiting := requestsOfSlice * s.RTT
	moving := time.Duration(float64(s.SizeBytes) / bytesPerSecond * float64(time.Second))
	switch {
	case s.Here:
		return true, "it is on this node already"
	case s.SizeBytes > s.LimitBytes:
		return false, fmt.Sprintf("%s are more than the cache may hold", megabytes(s.SizeBytes))
	case s.SizeBytes <= smallFile:
		return true, megabytes(s.SizeBytes) + " are little more than a slice of it"
	case s.Slices >= s.After:
		return true, fmt.Sprintf("slice %d of this file on this node", s.Slices)
	case waiting > moving:
		return true, fmt.Sprintf("a round trip takes %s, and %d of them longer than %s", s.RTT.Round(100*time.Microsecond), requestsOfSlice, megabytes(s.SizeBytes))
	default:
		return false, fmt.Sprintf("slice %d of this file on this node, and its server is near", s.Slices)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
