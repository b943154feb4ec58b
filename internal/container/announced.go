package container

import (
	"bytes"
	"io"
	"sync"

	"tfpilot/internal/proc"
)

// announced passes on what the program says on stderr. What the runtime says before that is no part of it, and is passed on only when
// the program was not started; the words of the entry, which tell one from the other, never are.
type announced struct {
	out             io.Writer // nil discards
	started, failed []byte

	mu    sync.Mutex
	state hearing
	held  []byte        // may be the beginning of a word
	said  *proc.Capture // by the runtime
}

type hearing int

const (
	hearsRuntime hearing = iota // until the word that the program is started
	hearsStart                  // just after it: here a second word may follow
	hearsProgram
	hearsFailure
)

// longestReason of a program that cannot be started.
const longestReason = 4 << 10

func newAnnounced(word string, out io.Writer) *announced {
	return &announced{out: out, started: []byte(word + wordStarted), failed: []byte(word + wordFailed), said: proc.NewCapture(2<<10, 8<<10)}
}

// Write takes everything; what becomes of it further on is the business of out.
func (a *announced) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == hearsProgram {
		return a.pass(p, len(p))
	}
	a.held = append(a.held, p...)
	if a.state == hearsRuntime {
		before, after, found := bytes.Cut(a.held, a.started)
		if !found {
			// The word may be in pieces: so much of the end is kept.
			n := max(0, len(a.held)-len(a.started)+1)
			_, _ = a.said.Write(a.held[:n])
			a.held = append([]byte(nil), a.held[n:]...)
			return len(p), nil
		}
		_, _ = a.said.Write(before)
		a.held, a.state = append([]byte(nil), after...), hearsStart
	}
	if a.state == hearsStart {
		n := min(len(a.held), len(a.failed))
		switch {
		case !bytes.Equal(a.held[:n], a.failed[:n]):
			a.state = hearsProgram
			held := a.held
			a.held = nil
			return a.pass(held, len(p))
		case n == len(a.failed):
			a.state, a.held = hearsFailure, a.held[n:]
		}
	}
	if a.state == hearsFailure {
		a.held = a.held[:min(len(a.held), longestReason)]
	}
	return len(p), nil
}

// pass hands on; n is what the writer is told.
func (a *announced) pass(b []byte, n int) (int, error) {
	if a.out == nil || len(b) == 0 {
		return n, nil
	}
	if _, err := a.out.Write(b); err != nil {
		return 0, err
	}
	return n, nil
}

// finish says what was heard: whether the program was started, else what the runtime said; and why the kernel did not after all.
func (a *announced) finish() (started bool, said, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == hearsFailure {
		return true, "", string(bytes.TrimSpace(a.held))
	}
	if a.state == hearsRuntime {
		_, _ = a.said.Write(a.held)
		a.held = []byte(a.said.String())
	}
	_, _ = a.pass(a.held, 0)
	a.held = nil
	return a.state != hearsRuntime, a.said.String(), ""
}
