package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
	"tfpilot/internal/sums"
)

// SliceState is where a slice is in its life.
type SliceState string

// The states. Done and failed are final; done wins over failed.
const (
	Outstanding SliceState = "outstanding" // an attempt was sent and has not ended
	Waiting     SliceState = "waiting"     // failed, to be sent again at RetryAt
	Done        SliceState = "done"
	Failed      SliceState = "failed"
)

// Final reports that nothing more is due.
func (s SliceState) Final() bool { return s == Done || s == Failed }

// Key names a slice.
type Key struct {
	Namespace, Run, Identity string
}

// Slice is one slice with all its attempts.
type Slice struct {
	Key        Key                `json:"-"`
	State      SliceState         `json:"state"`
	Filename   string             `json:"filename"`
	TFFilename string             `json:"tf_filename"`
	SliceID    int64              `json:"slice_id"`
	Start      int64              `json:"start"`
	End        int64              `json:"end"`
	CreatedAt  time.Time          `json:"created_at"`
	STFAt      time.Time          `json:"stf_at"`
	FinishedAt time.Time          `json:"finished_at"`
	RetryAt    time.Time          `json:"retry_at"`
	Failure    *message.Failure   `json:"failure,omitempty"`
	Attempts   []document.Attempt `json:"attempts"`
	// Message is the slice as it was published last, to be sent again. Absent while only results are known.
	// It is not part of the document: stores keep it beside.
	Message json.RawMessage `json:"-"`
	// Unsent is the attempt whose message was not confirmed by the broker yet, 0 when there is none.
	Unsent int              `json:"unsent,omitempty"`
	Counts map[string]int64 `json:"counts,omitempty"`
	// Absorbed are the first results that changed nothing, of AbsorbedCount.
	Absorbed      []document.AbsorbedResult `json:"absorbed,omitempty"`
	AbsorbedCount int                       `json:"absorbed_count,omitempty"`
	// Disturbed says that a fault was seen that explains a further result.
	Disturbed bool `json:"disturbed,omitempty"`
	// Downed are the pilots that fell silent with the slice in hand.
	Downed []string `json:"downed,omitempty"`
}

// attempt finds an attempt by its number, making it when new: one beyond the first counts as a retry of the run.
func (s *Slice) attempt(r *Run, n int) *document.Attempt {
	i := slices.IndexFunc(s.Attempts, func(a document.Attempt) bool { return a.Attempt == n })
	if i < 0 {
		if n > 1 {
			r.Retried++
		}
		s.Attempts = append(s.Attempts, document.Attempt{Attempt: n})
		slices.SortFunc(s.Attempts, func(a, b document.Attempt) int { return a.Attempt - b.Attempt })
		i = slices.IndexFunc(s.Attempts, func(a document.Attempt) bool { return a.Attempt == n })
	}
	return &s.Attempts[i]
}

// Latest is the number of the latest attempt.
func (s *Slice) Latest() int {
	if len(s.Attempts) == 0 {
		return 1
	}
	return s.Attempts[len(s.Attempts)-1].Attempt
}

// confirm notes that the broker has, or had, an attempt. It says whether that was open.
func (s *Slice) confirm(attempt int) bool {
	if s.Unsent != attempt {
		return false
	}
	s.Unsent = 0
	return true
}

// maxAbsorbed is how many results that changed nothing a slice tells of one by one.
const maxAbsorbed = 10

// absorb notes a result that changes nothing.
func (s *Slice) absorb(attempt int, c message.ResultContent, now time.Time) {
	s.AbsorbedCount++
	if len(s.Absorbed) < maxAbsorbed {
		s.Absorbed = append(s.Absorbed, document.AbsorbedResult{At: now, Attempt: attempt, State: c.State, PilotID: c.PilotID})
	}
}

// outstanding reports whether an attempt was sent and has not ended.
func (s *Slice) outstanding() bool {
	return slices.ContainsFunc(s.Attempts, func(a document.Attempt) bool { return a.State == "sent" })
}

// Trouble is the class and the name of what a slice failed with, or of what became of its latest attempt that came to nothing, also of a
// slice that another attempt has made done: how often something fails is to be known however often trying again has helped.
func (s *Slice) Trouble() (class, name string) {
	f := s.Failure
	for i := len(s.Attempts) - 1; f == nil && i >= 0; i-- {
		if f = s.Attempts[i].Failure; s.Attempts[i].State == "lost" {
			f = lost(s.Attempts[i].Reason)
		}
	}
	if f == nil {
		return "", ""
	}
	return cmp.Or(Text(f.Class), unnamed), cmp.Or(Text(f.Name), unnamed)
}

// unnamed is the class or the name of a failure that says none.
const unnamed = "unknown"

// Run is one run.
type Run struct {
	Namespace string `json:"-"`
	// Detector is what the data side says of the run; absent from the runs of a transaction, and from those of Runs.
	Detector    *document.Detector `json:"-"`
	RunID       message.RunID      `json:"run_id"`
	State       document.RunState  `json:"state"`
	OpenedAt    time.Time          `json:"opened_at"`
	EndedAt     time.Time          `json:"ended_at"`
	ClosedAt    time.Time          `json:"closed_at"`
	LastSliceAt time.Time          `json:"last_slice_at"`
	// HeardAt is when something came last for a run that nobody has announced; later, until when that was so. Nobody looks for the faults
	// of such a run: what had come by then may come twice for one that was not noted.
	HeardAt time.Time `json:"heard_at,omitzero"`
	// EndCreatedAt is the created_at of the message that ended the run.
	EndCreatedAt message.Timestamp `json:"end_created_at"`
	TotalSlices  *int              `json:"total_slices"`
	Workers      int               `json:"workers"`

	Published   int `json:"published"`
	Done        int `json:"done"`
	Failed      int `json:"failed"`
	Retried     int `json:"retried"`
	Absorbed    int `json:"absorbed"`
	Corrected   int `json:"corrected"`
	Unmatched   int `json:"unmatched"`
	Unexplained int `json:"unexplained"`
	// UnexplainedBefore is what Unexplained was when the first fault was seen, which may explain it.
	UnexplainedBefore int              `json:"unexplained_before,omitempty"`
	Unmerged          int              `json:"unmerged"`
	Counts            map[string]int64 `json:"counts"`
	// Payloads are what the versions of payloads took that have worked on the run.
	Payloads sums.Payloads `json:"payloads,omitempty"`

	// Latency is what a closed run has taken; nil while that may change.
	Latency *document.RunLatency `json:"latency,omitempty"`

	// Early are nameless failures that came before their slices.
	Early []message.SliceResult `json:"early,omitempty"`

	// Disturbed says that a fault was seen that explains results that come twice: a restart, a lost connection, a worker that
	// vanished.
	Disturbed bool `json:"disturbed,omitempty"`
	// Peers says that workers which do not report to us take part.
	Peers bool `json:"peers,omitempty"`
	// StopSent says that the workers were told of the run's end, StopSeen that somebody else did, which is his duty then.
	StopSent bool `json:"stop_sent,omitempty"`
	StopSeen bool `json:"stop_seen,omitempty"`
	// Tasks is how many workflow tasks the run has; Workers is the sum of those that are open, SiteWorkers are its parts. DemandClosed
	// says that none is open any more.
	Tasks        int            `json:"tasks,omitempty"`
	SiteWorkers  map[string]int `json:"site_workers,omitempty"`
	DemandClosed bool           `json:"demand_closed,omitempty"`
	// AnnouncedAt is when the announcement came; Announced is how many workers it asked for, where the demand comes from workflow tasks.
	Announced   int       `json:"announced,omitempty"`
	AnnouncedAt time.Time `json:"announced_at,omitzero"`
	// Guess is what the request says of the work that comes.
	Guess *Guess `json:"guess,omitempty"`
}

// Guess is what the request for workers says that things will take, in seconds; 0 where it says nothing.
type Guess struct {
	Slice    float64 `json:"slice,omitempty"`
	RampUp   float64 `json:"ramp_up,omitempty"`
	RampDown float64 `json:"ramp_down,omitempty"`
}

// Open reports whether there is anything left to be done for the run.
func (r *Run) Open() bool {
	return r.State != document.RunUnannounced && (r.State != document.RunClosed || !r.StopSent)
}

// Samples tell two states of a run apart whose [Latencies] may differ.
type Samples struct {
	published, done int
	lastSlice       int64 // what a slice's message says of it replaces what its result said
}

// Sampled are those of a run as it is.
func (r *Run) Sampled() Samples { return Samples{r.Published, r.Done, Micros(r.LastSliceAt)} }

// Outstanding is how many slices are not final.
func (r *Run) Outstanding() int { return r.Published - r.Done - r.Failed }

// Troubled reports whether there may be a slice of the run with any [Slice.Trouble]: also one that is done, by another attempt, or after
// all by the one that had failed.
func (r *Run) Troubled() bool {
	return r.Failed+r.Retried+r.Corrected+r.Absorbed+r.Outstanding() > 0 || slices.ContainsFunc(r.Payloads, func(p sums.Payload) bool { return p.Failed > 0 })
}

// Tx is a store within one transaction. A document that is asked for twice is the same one; a change counts when it is Put.
type Tx interface {
	// Expect says which slices will be asked for, so that a store reads them at once.
	Expect(keys []Key) error
	// Slice returns nil for an unknown one.
	Slice(k Key) (*Slice, error)
	PutSlice(s *Slice) error
	// SliceByRequest finds the slice with an attempt of this created_at, nil when there is none or more than one.
	SliceByRequest(namespace, run string, createdAt time.Time) (*Slice, error)
	Run(namespace, run string) (*Run, error)
	PutRun(r *Run) error
	// DropRun forgets a run with its slices and histograms.
	DropRun(r *Run) error
	Histograms(namespace, run string) (hist.Set, error)
	PutHistograms(namespace, run string, set hist.Set) error
	PutWorker(w document.WorkerReport, at time.Time) error
	// Actors are the programs that were seen to do one of our duties.
	Actors(namespace string) ([]document.Actor, error)
	PutActor(a document.Actor) error
	PutToken(t access.Token) error
	AddAudit(a access.AuditLine) error
	Documents
	Tasks(f TaskFilter) ([]Task, error)
	// PutTask gives a new task its number, and its request one.
	PutTask(t *Task) error
	AddTaskMessage(m TaskMessage) error
	CountTaskMessages(namespace string, request int64) (int, error)
	// Touch writes something that changes nothing, to see whether anything can be written.
	Touch() error
}

// PageSize is how many slices a store returns unless told otherwise.
const PageSize = 1000

// Filter selects slices; empty fields select all.
type Filter struct {
	Namespace, Run string
	States         []SliceState
	// Pilot is who had it last; Class and Failure are what it failed with, or the latest of its attempts that failed, whatever became of it
	// then.
	Pilot, Class, Failure string
	// Filename is of its STF, whatever folder stands before it; only together with a Run.
	Filename string
	// After is the slice after which to go on; Limit bounds the answer (0: 1000).
	After Key
	Limit int
}

// Latencies are the samples behind a run's quantiles, in seconds.
type Latencies struct{ Slice, STF []float64 }

// ErrUnavailable is what the errors of a store wrap that may pass: it is full, read-only, locked or gone. Of an Update that ends
// with it nothing is stored, and it may be tried again.
var ErrUnavailable = errors.New("the store is not available")

// ErrOlderSchema ends the error of whoever looks into a store that an older program has written, and may not change it.
var ErrOlderSchema = errors.New("`idds serve` brings it there")

// Store keeps the ledger. Update is serialised; the readers see what was committed.
type Store interface {
	Update(ctx context.Context, fn func(tx Tx) error) error
	Runs(ctx context.Context, namespace string) ([]Run, error)
	// OpenRuns are those of a namespace for which there is something left to be done.
	OpenRuns(ctx context.Context, namespace string) ([]Run, error)
	// Slices come run by run, and in the order of their coming within a run; those of a run that nobody has announced only when it is
	// named. Behind a slice that is not there its run begins anew.
	Slices(ctx context.Context, f Filter) ([]Slice, error)
	// Tally counts a run's slices, by what stands in each of them, and is the run as it was at that moment, nil when it is not known.
	Tally(ctx context.Context, namespace, run string) (of *Run, slices map[SliceState]int, err error)
	// Due are slices of a namespace to be sent again at or before a time, and those whose sending was not confirmed.
	Due(ctx context.Context, namespace string, now time.Time) ([]Slice, error)
	Latencies(ctx context.Context, namespace, run string) (Latencies, error)
	MergedHistograms(ctx context.Context, namespace, run string) (hist.Set, error)
	Workers(ctx context.Context, namespace string) ([]document.Worker, error)
	Actors(ctx context.Context, namespace string) ([]document.Actor, error)
	Lists
	Beside
	// Name tells this store from all others, for good.
	Name() string
	Close() error
}
