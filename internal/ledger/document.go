package ledger

import (
	"context"
	"path"

	"tfpilot/internal/document"
)

// Kind is a kind of documents that stand beside the accounting, each under a key of its own.
type Kind struct {
	// Table and Key are where they are, and the columns that name one.
	Table string
	Key   []string
}

// The kinds: what the detector does in a run, a run's STF and time-frame files, and the programs of a namespace.
var (
	Detectors  = Kind{"detector", []string{"namespace", "run"}}
	STFFiles   = Kind{"stf", []string{"namespace", "run", "name"}}
	TFFiles    = Kind{"tf", []string{"namespace", "run", "stf", "name"}}
	Components = Kind{"component", []string{"namespace", "name"}}
)

// Documents are those of a transaction. A key has as many parts as its kind says.
type Documents interface {
	// Document reads one, and reports whether there is any.
	Document(k Kind, into any, key ...string) (bool, error)
	PutDocument(k Kind, document any, key ...string) error
	DropDocument(k Kind, key ...string) error
}

// Beside is what a store is asked that has nothing to do with slices.
type Beside interface {
	// Detector is what the data side says of a run, nil when it has said nothing.
	Detector(ctx context.Context, namespace, run string) (*document.Detector, error)
	// Components are the programs of a namespace, of all when it is empty, as they were seen last.
	Components(ctx context.Context, namespace string) ([]document.Component, error)
	TFFiles(ctx context.Context, f TFFilter) ([]document.TFFile, error)
}

// TFFilter selects the time-frame files of a run, in the order of their STFs and names.
type TFFilter struct {
	Namespace, Run string
	// STF leaves only those of one STF file.
	STF string
	// AfterSTF and AfterName name the file after which to go on.
	AfterSTF, AfterName string
	Limit               int
}

// FileName is what an STF file is known by, wherever it lies: the last part of its path or address.
func FileName(of string) string {
	if name := path.Base(of); name != "." && name != "/" {
		return name
	}
	return of
}
