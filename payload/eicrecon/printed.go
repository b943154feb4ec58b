package eicrecon

import (
	"io"
	"sync"

	"tfpilot/internal/proc"
)

// kept of each stream, head and tail each, in bytes.
const kept = 16 << 10

// printed takes one stream of a daemon: for the slice that it works on, or for its slot.
type printed struct {
	mu  sync.Mutex
	log io.Writer
	now *proc.Capture
}

func newPrinted(log io.Writer) *printed { return &printed{log: log, now: proc.NewCapture(kept, kept)} }

// Write never fails: a daemon does not stall for its log.
func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.now.Write(b)
	_, _ = p.log.Write(b)
	return len(b), nil
}

// turn has what follows go to another log; it returns what was printed since the last turn.
func (p *printed) turn(log io.Writer) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.now.String()
	p.log, p.now = log, proc.NewCapture(kept, kept)
	return text
}

// last is what was printed since the last turn.
func (p *printed) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.String()
}
