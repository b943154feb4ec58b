package harvester

import (
	"context"
	"errors"
	"regexp"
	"time"

	"tfpilot/internal/exitcode"
)

// Resources is what a pilot asks of the batch system. Zero leaves it to the queue's own default.
type Resources struct {
	Cores    int `toml:"cores" default:"1" zero:"true" help:"cores of a pilot; 0: the queue's default"`
	MemoryMB int `toml:"memory_mb" default:"2000" zero:"true" help:"memory of a pilot, in MB; 0: the queue's default"`
	DiskMB   int `toml:"disk_mb" help:"scratch disk of a pilot, in MB, where the batch system takes it (default: the queue's)"`
	// WallTime is the pilot's whole time in its slot; the batch system ends it then.
	WallTime time.Duration `toml:"wall_time" default:"4h" zero:"true" help:"time that a pilot may hold its slot; 0: the queue's default"`
}

// Submission is several equal pilots. The batch system gives each a folder of its own, Dir/TAG.INDEX, and leaves there what the
// pilot printed: StdoutFile (one JSON line: its last words) and StderrFile (its log), also of one that was killed where the
// batch system can.
type Submission struct {
	// Tag is unique, begins with TagPrefix, and is found again in the batch system.
	Tag   string
	Count int
	// Dir is an absolute path; on a cluster it is on a file system that the batch system can write to or transfer to.
	Dir  string
	Path string
	// Files are what the pilot reads beside its program (its token, its payload's file), as absolute paths. Ship says that the
	// nodes need not see Path and Files: the batch system takes them along into the pilot's working folder, under their base
	// names, and Args name them so. Otherwise Args name them by their absolute paths.
	Files []string
	Ship  bool
	Args  []string
	// Env is the whole environment of the pilot, but for what the batch system adds.
	Env []string
	Resources
	// Exclude names nodes that the pilots must not be started on.
	Exclude []string
}

// What a batch system adds to the environment of a pilot, beside what it sets of its own.
const (
	EnvBatchSystem = "TFPILOT_BATCH_SYSTEM" // Name()
	EnvBatchID     = "TFPILOT_BATCH_ID"     // Job.ID
	EnvWorkerID    = "TFPILOT_WORKER_ID"    // TAG.INDEX
	EnvWallTime    = "TFPILOT_WALL_TIME"    // Resources.WallTime as a Go duration, when not zero: the deadline where the batch system tells none
)

// What the harvester adds, and pilots tell idds: its name for the queue, and when it submitted them (RFC 3339).
const (
	EnvSite        = "TFPILOT_SITE"
	EnvSubmittedAt = "TFPILOT_SUBMITTED_AT"
)

// Names in a worker's folder.
const (
	StdoutFile = "pilot.out"
	StderrFile = "pilot.log"
)

// TagPrefix begins the tag of every submission, so that a batch system can list ours.
const TagPrefix = "tfpilot-"

var tagForm = regexp.MustCompile(`^` + TagPrefix + `[a-z0-9-]+$`)

// IsTag reports whether a text can be a tag of ours. What a batch system lists may have been named by anybody, and a tag is part of
// the names of folders, which are removed some day.
func IsTag(text string) bool { return tagForm.MatchString(text) }

// State is where a worker is in the batch system.
type State string

// The states, in order. Intended: in our store, perhaps not in the batch system. Ending: its processes are being ended, or its
// output is on the way. Unknown: the batch system says something that we do not know; the job counts as alive and the reason
// says what it was. Missing: the batch system does not know it (any more).
const (
	Intended  State = "intended"
	Queued    State = "queued"
	Held      State = "held"
	Running   State = "running"
	Suspended State = "suspended"
	Ending    State = "ending"
	Unknown   State = "unknown"
	Ended     State = "ended"
	Missing   State = "missing"
)

// Live reports whether a worker holds, or may come to hold, slots.
func (s State) Live() bool { return s != Ended && s != Missing }

// Status is what the batch system says of one of its jobs.
type Status struct {
	State State
	// Native is the batch system's own word for the state, such as COMPLETING or "5 (held)".
	Native string
	// Node is where it runs or ran last.
	Node string
	// ExitCode is -1 when it is not known, or a signal ended the job; Signal is that signal's number.
	ExitCode, Signal int
	// Cause is why it ended where the batch system itself tells (Walltime, Preempted, SlotMemory, NodeFailed, Cancelled,
	// LaunchFailed); zero (OK) where only the exit code speaks.
	Cause exitcode.Failure
	// Reason says in words why it is in this state, where the batch system tells.
	Reason string
	// Starts counts how often it was started: more than one after a requeue.
	Starts int
	// Each is zero when the batch system does not tell. EndsAt is when it will end a running job.
	QueuedAt, StartedAt, EndsAt, EndedAt time.Time
}

// Job is one job of a tag of ours, of this or another submitter.
type Job struct {
	ID string
	// Tag and Index say whose it is: worker TAG.INDEX.
	Tag   string
	Index int
	Status
}

// ErrUnclear is in the error of a Submit of which nobody knows whether it happened (a timeout, a connection that broke): the next
// Queue tells. Any other error says that nothing more than the returned jobs was submitted.
var ErrUnclear = errors.New("it is not clear whether the batch system took it")

// BatchSystem runs pilots. Its exported suite is harvester/batchtest. Every call is bounded in time by the adapter itself, so that
// a batch command that hangs holds up nobody for longer.
type BatchSystem interface {
	// Name is what pilots report as batch_system.
	Name() string
	// Submit hands in a submission by one command and returns its jobs' ids in the order of their index.
	Submit(ctx context.Context, s Submission) ([]string, error)
	// Queue lists, by one command, every job of ours that the batch system knows now, also ended ones as long as it knows them. An
	// error means that it could not be asked, and says nothing about jobs.
	Queue(ctx context.Context) ([]Job, error)
	// History is the second source, asked about jobs that Queue does not list. One that it does not know is not in the answer.
	History(ctx context.Context, ids []string) (map[string]Status, error)
	// Cancel ends jobs by one command; of those that have ended, or are not known, it says nothing.
	Cancel(ctx context.Context, ids []string) error
	// Check looks whether pilots could be submitted: tools, queue, rights. It submits nothing.
	Check(ctx context.Context) []Finding
}

// Finding is one line of a check.
type Finding struct {
	// What was looked at, such as "sbatch" or "partition main".
	What string `json:"what"`
	OK   bool   `json:"ok"`
	// Detail is what was found; Next what to do about it when it is not OK.
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}
