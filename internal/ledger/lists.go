package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"tfpilot/internal/access"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// Lists are what people ask of a store, beside what the service needs.
type Lists interface {
	// Slice is one slice, nil when it is not known.
	Slice(ctx context.Context, k Key) (*Slice, error)
	FindRuns(ctx context.Context, f RunFilter) ([]Run, error)
	FindWorkers(ctx context.Context, f WorkerFilter) ([]document.Worker, error)
	Files(ctx context.Context, f FileFilter) ([]File, error)
	// Outcomes are told of every slice of a run, in any order: of all of them, so that it takes as long as that.
	Outcomes(ctx context.Context, namespace, run string, each func(Outcome)) error
	// Failures counts the slices of a run, or of all, by what they failed with, also those that are done by now.
	Failures(ctx context.Context, namespace, run string) ([]FailureCount, error)
	// Tokens are all that were made, those that are revoked or have expired too.
	Tokens(ctx context.Context) ([]access.Token, error)
	// AuditPage is the audit from its end, before a line (0: all); next goes on, and is 0 at the end.
	AuditPage(ctx context.Context, namespace string, before int64, limit int) (lines []access.AuditLine, next int64, err error)
	// Tasks are the workflow tasks of a filter, and TaskMessages what was left for a request.
	Tasks(ctx context.Context, f TaskFilter) ([]Task, error)
	TaskMessages(ctx context.Context, namespace string, request int64) ([]TaskMessage, error)
}

// RunFilter selects runs in the order of namespace and number; empty fields select all.
type RunFilter struct {
	Namespace, Run string
	States         []document.RunState
	// AfterNamespace and AfterRun name the run after which to go on.
	AfterNamespace, AfterRun string
	// Descending turns the order around.
	Descending bool
	Limit      int
}

// EveryRun hands over the runs of a filter page by page: those of years, or of a flood of numbers, are not in memory at once.
func EveryRun(ctx context.Context, s Lists, f RunFilter, each func([]Run)) error {
	f.Limit = cmp.Or(f.Limit, PageSize)
	for {
		page, err := s.FindRuns(ctx, f)
		if err != nil {
			return err
		}
		if each(page); len(page) < f.Limit {
			return nil
		}
		last := &page[len(page)-1]
		f.AfterNamespace, f.AfterRun = last.Namespace, Text(last.RunID.String())
	}
}

// FileFilter selects files in the order of namespace, run and name; empty fields select all.
type FileFilter struct {
	Namespace, Run string
	// After is the file after which to go on; its Identity is the file's name.
	After Key
	// Descending turns the order around; only together with a Namespace and a Run.
	Descending bool
	Limit      int
}

// Announced is what the data side says of an STF file, as the store keeps it.
type Announced struct {
	document.STF

	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`
}

// File is one STF file, as its slices and the data side know it.
type File struct {
	Key                                              // Identity is its name
	Announced                             *Announced // nil of one of which only slices are known
	TFFiles                               int
	Slices, Done, Failed                  int
	STFAt, FirstCreatedAt, LastFinishedAt time.Time
	// Message is the message of one of its slices, which knows its size and checksum; empty where only results came.
	Message []byte
}

// Document is a file as the world sees it.
func (f *File) Document() document.STFFile {
	var m message.Slice
	_ = json.Unmarshal(f.Message, &m) // what its slices do not say is not known
	d := document.STFFile{
		Namespace: f.Namespace, RunID: f.Run, Filename: f.Identity, SizeBytes: m.Content.Size.Int64(), Adler32: m.Content.Adler32,
		TFFiles: f.TFFiles, Slices: f.Slices, Done: f.Done, Failed: f.Failed, Outstanding: f.Slices - f.Done - f.Failed,
		STFCreatedAt: f.STFAt, FirstCreatedAt: f.FirstCreatedAt, LastFinishedAt: f.LastFinishedAt,
	}
	if m.Content.Filename != f.Identity {
		d.Path = m.Content.Filename
	}
	if a := f.Announced; a != nil {
		d.STF = a.STF
		d.SizeBytes, d.Adler32 = cmp.Or(a.SizeBytes, d.SizeBytes), cmp.Or(a.Adler32, d.Adler32)
		if d.STFCreatedAt.IsZero() {
			d.STFCreatedAt = a.TakenAt
		}
	}
	return d
}

// Outcome is when the data of a slice was taken, when it was created, and when its result was counted.
type Outcome struct {
	Filename string
	// TakenAt is when its STF was written or, where that is not known, when it was created.
	TakenAt   time.Time
	CreatedAt time.Time
	// DoneAt is zero while it is not done.
	DoneAt time.Time
	// EndedAt is the same of one that failed for good, too.
	EndedAt time.Time
}

// Outcome is the slice's.
func (s *Slice) Outcome() Outcome {
	o := Outcome{Filename: s.Filename, TakenAt: s.STFAt, CreatedAt: s.CreatedAt}
	if o.TakenAt.IsZero() {
		o.TakenAt = s.CreatedAt
	}
	if s.State == Done {
		o.DoneAt = s.FinishedAt
	}
	if s.State.Final() {
		o.EndedAt = s.FinishedAt
	}
	return o
}

// FailureCount is how many slices have failed in one way.
type FailureCount struct {
	Class, Name string
	State       SliceState // failed for good, tried again, or done by another attempt
	N           int
}

// FailureDocuments are counts, in the order of class and name, as the world sees them.
func FailureDocuments(counts []FailureCount) []document.FailureCount {
	out := []document.FailureCount{}
	for _, c := range counts {
		last := len(out) - 1
		if last < 0 || out[last].Class != c.Class || out[last].Name != c.Name {
			out = append(out, document.FailureCount{Class: c.Class, Name: c.Name})
			last++
		}
		switch c.State {
		case Failed:
			out[last].Failed += c.N
		case Done:
			out[last].DoneLater += c.N
		case Outstanding, Waiting:
			out[last].Retrying += c.N
		}
	}
	return out
}

// WorkerFilter selects pilots in the order of their namespaces and names; empty fields select all.
type WorkerFilter struct {
	Namespace, Pilot string
	// Worker is what the harvester calls it.
	Worker string
	// AfterNamespace and AfterPilot name the one after which to go on.
	AfterNamespace, AfterPilot string
	// SeenSince leaves out those that reported last before it.
	SeenSince time.Time
	Limit     int
}
