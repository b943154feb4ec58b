package workflow

import "fmt"

// Kind is what is wrong with a request, by the name of the exception that an iDDS raises for it.
type Kind string

// The kinds.
const (
	BadRequest   Kind = "BadRequest"                 // it is none
	NoObject     Kind = "NoObject"                   // it names nothing that there is
	Conflict     Kind = "ConflictRequestException"   // it cannot be met as things are
	NoPermission Kind = "AuthenticationNoPermission" // it is not for him who asks
)

// Fault is why nothing becomes of a request. It changes nothing.
type Fault struct {
	Kind Kind
	Text string
}

func fault(kind Kind, format string, args ...any) *Fault {
	return &Fault{kind, fmt.Sprintf(format, args...)}
}
