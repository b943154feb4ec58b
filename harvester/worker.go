package harvester

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// Worker is one submitted pilot, and what is known of it.
type Worker struct {
	// ID is ours: the submission's tag and a number.
	ID  string `json:"id"`
	Tag string `json:"tag"`
	// BatchID is the batch system's name for it.
	BatchID   string `json:"batch_id"`
	RunID     string `json:"run_id"`
	Namespace string `json:"namespace"`
	State     State  `json:"state"`
	// Native is the batch system's own word for the state.
	Native string `json:"native,omitempty"`
	Node   string `json:"node,omitempty"`
	Starts int    `json:"starts,omitempty"`
	// ExitCode is valid once it has ended; -1 when nobody knows it or a signal ended it.
	ExitCode int `json:"exit_code"`
	Signal   int `json:"signal,omitempty"`
	// Cause is the name of a line of the table of failures, empty when nobody told; CauseFrom says who did.
	Cause     string         `json:"cause,omitempty"`
	Class     exitcode.Class `json:"class,omitempty"`
	CauseFrom string         `json:"cause_from,omitempty"`
	Reason    string         `json:"reason"`

	// By our own clock. RunningAt is when it was first seen running, ChangedAt when it was seen to have come into its state.
	IntendedAt  time.Time `json:"intended_at,omitzero"`
	SubmittedAt time.Time `json:"submitted_at,omitzero"`
	RunningAt   time.Time `json:"running_at,omitzero"`
	ChangedAt   time.Time `json:"changed_at,omitzero"`
	// As the batch system told them. Its clock may be off: they are shown, and compared only with each other.
	QueuedAt  time.Time `json:"queued_at,omitzero"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndsAt    time.Time `json:"ends_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`

	// LastWords are what the pilot itself reported at its end.
	LastWords *document.WorkerReport `json:"last_words,omitempty"`

	// Cancel is set when we have told the batch system to end it.
	Cancel *Cancellation `json:"cancel,omitempty"`
	// Misses counts the listings in a row that did not have it, since MissedAt.
	Misses   int       `json:"misses,omitempty"`
	MissedAt time.Time `json:"missed_at,omitzero"`
}

// Cancellation is sent once for each start of a job: a second one could hit what the batch system has started anew.
type Cancellation struct {
	At    time.Time `json:"at"`
	Start int       `json:"start"` // Starts at the time
	Why   string    `json:"why"`
	// Failed says that we gave it up because it did not work, such as one that was held for too long.
	Failed bool `json:"failed,omitempty"`
}

// Where a worker's cause is known from.
const (
	FromBatch = "batch system"
	FromWords = "last words"
	FromCode  = "exit code"
)

// Store remembers workers, and documents by their name.
type Store interface {
	// Put makes or replaces workers by their ID, all or none.
	Put(ctx context.Context, workers ...Worker) error
	// Live returns the workers whose state is Live.
	Live(ctx context.Context) ([]Worker, error)
	// Latest returns the workers submitted last, newest first, at most limit.
	Latest(ctx context.Context, limit int) ([]Worker, error)
	// Prune forgets the submissions all of whose workers have ended and changed last before a time, and returns their tags.
	Prune(ctx context.Context, before time.Time) (tags []string, err error)
	// Document reads a document by its name; false when there is none. SetDocument replaces it; nil removes it.
	Document(ctx context.Context, name string, into any) (bool, error)
	SetDocument(ctx context.Context, name string, document any) error
}

// Demand says how many workers are wanted.
type Demand interface {
	Demand(ctx context.Context) (document.Demand, error)
}

// Fixed is a demand that nobody has to be asked for.
type Fixed document.RunDemand

// Demand is always the same.
func (f Fixed) Demand(context.Context) (document.Demand, error) {
	if f.Wanted == 0 {
		return document.Demand{}, nil
	}
	return document.Demand{Demands: []document.RunDemand{document.RunDemand(f)}}, nil
}

// workerID is our name for a job.
func workerID(tag string, index int) string { return fmt.Sprintf("%s.%d", tag, index) }

// Submitter is whose a tag is: that of the store that made it.
func Submitter(tag string) string {
	s, _, _ := strings.Cut(strings.TrimPrefix(tag, TagPrefix), "-")
	return s
}

// observe is a worker after the batch system has said how its job is.
func (w Worker) observe(j Job, now time.Time) Worker {
	s := j.Status
	if s.State != w.State {
		w.ChangedAt = now
	}
	w.BatchID, w.State, w.Native, w.Reason = j.ID, s.State, s.Native, s.Reason
	w.ExitCode, w.Signal, w.Starts = s.ExitCode, s.Signal, max(s.Starts, w.Starts)
	if s.Node != "" {
		w.Node = s.Node
	}
	w.QueuedAt, w.StartedAt, w.EndsAt, w.EndedAt = s.QueuedAt, s.StartedAt, s.EndsAt, s.EndedAt
	if s.State == Running && w.RunningAt.IsZero() {
		w.RunningAt = now
	}
	if w.SubmittedAt.IsZero() {
		w.SubmittedAt = now // whose answer was lost
	}
	w.Misses, w.MissedAt = 0, time.Time{}
	w.Cause, w.Class, w.CauseFrom = "", "", ""
	if w.State.Live() {
		w.ExitCode = 0
		return w
	}
	return w.explained(s.Cause)
}

// explained is an ended worker with its cause: what the batch system says counts for more than what the pilot knew, and that for
// more than a number.
func (w Worker) explained(cause exitcode.Failure) Worker {
	switch f, known := exitcode.ByCode(w.ExitCode); {
	case cause.Name != "" && cause.Name != exitcode.OK.Name:
		w.Cause, w.Class, w.CauseFrom = cause.Name, cause.Class, FromBatch
	case w.CauseFrom == FromBatch:
	case w.LastWords != nil && w.LastWords.Exit != nil:
		w.Cause, w.Class, w.CauseFrom = w.LastWords.Exit.Name, exitcode.Class(w.LastWords.Exit.Class), FromWords
		if w.LastWords.Exit.Cause != "" {
			w.Reason = w.LastWords.Exit.Cause
		}
	case known && w.State == Ended && w.Signal == 0:
		w.Cause, w.Class, w.CauseFrom = f.Name, f.Class, FromCode
	}
	return w
}

// Lived is how long it ran, as far as anybody knows: by one clock, whichever.
func (w Worker) Lived(now time.Time) time.Duration {
	if w.State.Live() {
		if w.RunningAt.IsZero() {
			return 0
		}
		return now.Sub(w.RunningAt)
	}
	switch words := w.LastWords; {
	case !w.StartedAt.IsZero() && !w.EndedAt.IsZero():
		return max(0, w.EndedAt.Sub(w.StartedAt))
	case words != nil && !words.StartedAt.IsZero():
		return max(0, words.At.Sub(words.StartedAt))
	case !w.RunningAt.IsZero():
		return max(0, w.ChangedAt.Sub(w.RunningAt))
	default:
		return 0
	}
}

// cancelled reports whether it was told to end in its present start.
func (w Worker) cancelled() bool { return w.Cancel != nil && w.Cancel.Start == w.Starts }
