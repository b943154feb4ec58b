package slurm

// What the fuzzers feed.
var (
	ParseQueue   = parseQueue
	ParseHistory = parseHistory
	Submitted    = submitted
)
