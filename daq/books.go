package daq

import (
	"fmt"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/runplan"
)

// Verdict is what one result says about one slice.
type Verdict struct {
	ReqID   string `json:"req_id"`
	Done    bool   `json:"done"`
	Attempt int    `json:"attempt"`
	// Final is true for a failure after which no further attempt comes.
	Final bool `json:"final,omitempty"`
	// Reason is the failure's name and message.
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// maxAttempts is how often idds publishes a slice at most: a failure of that attempt is the last.
const maxAttempts = 3

// Books are the slices of a run by req_id with what became of each. Done of any attempt wins over everything; a failure is
// final when it says so or when it was the last attempt. Safe for use by several goroutines.
type Books struct {
	mu     sync.Mutex
	run    string
	slices map[string]*entry
	// byTime finds the slice of a peer's failure, which has no req_id: only the created_at of its request.
	byTime  map[int64]string
	stfs    map[int]*stfEntry
	counts  Counts
	changed chan struct{} // closed and replaced whenever a slice is answered
}

type entry struct {
	stf       int
	published bool
	state     sliceState
}

type sliceState int

const (
	waiting sliceState = iota
	done
	failed
)

type stfEntry struct {
	created time.Time
	open    int
	last    time.Time
}

// Counts are the books in numbers.
type Counts struct {
	STFs      int `json:"stfs"`
	Published int `json:"published"`
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	// Unanswered are published slices without a final result.
	Unanswered int `json:"unanswered"`
	// Retried counts failures that another attempt followed or may follow; Absorbed results that changed nothing; Unmatched
	// results of the run that fit no slice; Junk bodies that are no results.
	Retried   int `json:"retried"`
	Absorbed  int `json:"absorbed"`
	Unmatched int `json:"unmatched"`
	Junk      int `json:"junk"`
	// SlowestSTF is the longest time from an STF's file to the last of its results, MeanSTF the mean, in seconds.
	SlowestSTF   float64 `json:"slowest_stf_s"`
	MeanSTF      float64 `json:"mean_stf_s"`
	CompleteSTFs int     `json:"complete_stfs"`
}

// NewBooks opens empty books for a run.
func NewBooks(run string) *Books {
	return &Books{
		run: run, slices: map[string]*entry{}, byTime: map[int64]string{}, stfs: map[int]*stfEntry{},
		changed: make(chan struct{}),
	}
}

// Expect enters the slices of an STF before they are published: a result can be faster than the broker's receipt.
func (b *Books) Expect(s runplan.STF, list []runplan.Slice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stfs[s.Sequence] != nil {
		return // again, after a restart
	}
	b.counts.STFs++
	b.stfs[s.Sequence] = &stfEntry{created: s.CreatedAt, open: len(list)}
	for _, slice := range list {
		b.slices[slice.ReqID] = &entry{stf: s.Sequence}
		b.byTime[slice.CreatedAt.UnixMicro()] = slice.ReqID
	}
}

// Published counts a slice that the broker has confirmed.
func (b *Books) Published(reqID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.slices[reqID]; e != nil && !e.published {
		e.published = true
		b.counts.Published++
	}
}

// IsPublished reports whether the broker has confirmed the slice.
func (b *Books) IsPublished(reqID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.slices[reqID]
	return e != nil && e.published
}

// Judge reads a result. ok is false when it is no result of a slice in the books; why says what it is then.
func (b *Books) Judge(body []byte, at time.Time) (v Verdict, ok bool, why error) {
	r, err := message.Decode[message.SliceResult](body)
	if err == nil && r.MsgType != message.TypeSliceResult {
		err = fmt.Errorf("msg_type %q is not %s", r.MsgType, message.TypeSliceResult)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.counts.Junk++
		return Verdict{}, false, err
	}
	id := r.Identity()
	if id == "" {
		id = b.byTime[r.Content.RequestedAt.Time().UnixMicro()]
	}
	if b.slices[id] == nil || r.RunID.String() != b.run {
		b.counts.Unmatched++
		return Verdict{}, false, fmt.Errorf("no slice %q of run %s in the books", id, r.RunID)
	}
	v = Verdict{ReqID: id, Done: r.Content.State == message.StateDone, Attempt: attempt(r), At: at}
	if v.Done {
		return v, true, nil
	}
	v.Final = v.Attempt >= maxAttempts
	if f := r.Content.Failure; f != nil {
		v.Final = v.Final || !f.Retryable
		v.Reason = f.Name + ": " + f.Message
	} else if text := r.Content.Result.Error; text != nil {
		v.Reason = *text
	}
	return v, true, nil
}

func attempt(r message.SliceResult) int {
	if n := int(r.Content.Attempt.Int64()); n > 0 {
		return n
	}
	c, _ := r.SliceContent()
	return c.AttemptNumber()
}

// Enter writes a verdict into the books.
func (b *Books) Enter(v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.slices[v.ReqID]
	if e != nil && !e.published { // a result proves that the broker has had the slice
		e.published = true
		b.counts.Published++
	}
	switch {
	case e == nil:
		b.counts.Unmatched++
	case e.state == done || (e.state == failed && !v.Done):
		b.counts.Absorbed++
	case v.Done && e.state == failed: // corrected
		e.state = done
		b.counts.Failed--
		b.counts.Done++
	case v.Done:
		e.state = done
		b.counts.Done++
		b.answered(e, v.At)
	case v.Final:
		e.state = failed
		b.counts.Failed++
		b.answered(e, v.At)
	default:
		b.counts.Retried++
	}
}

// answered closes the STF with its last slice and wakes who waits.
func (b *Books) answered(e *entry, at time.Time) {
	s := b.stfs[e.stf]
	s.open--
	if at.After(s.last) {
		s.last = at
	}
	if s.open == 0 {
		took := s.last.Sub(s.created).Seconds()
		n := float64(b.counts.CompleteSTFs)
		b.counts.CompleteSTFs++
		b.counts.MeanSTF = (b.counts.MeanSTF*n + took) / (n + 1)
		b.counts.SlowestSTF = max(b.counts.SlowestSTF, took)
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// Counts are the books now. The channel is closed when another slice is answered.
func (b *Books) Counts() (Counts, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.counts
	c.Unanswered = c.Published - c.Done - c.Failed
	return c, b.changed
}

// Verdict on the whole run: nil when every published slice is done.
func (c Counts) Verdict() error {
	switch {
	case c.Unanswered > 0:
		return exitcode.New(exitcode.CheckFailed, "%d of %d slices have no result", c.Unanswered, c.Published)
	case c.Failed > 0:
		return exitcode.New(exitcode.SliceFailed, "%d of %d slices failed", c.Failed, c.Published)
	default:
		return nil
	}
}
