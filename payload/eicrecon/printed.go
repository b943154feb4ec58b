package eicrecon

import (
	"io"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// kept of each stream, head and tail each, in bytes.
	kept = 16 << 10
	// lastWords is how long the end of a stream may take when nobody of the daemon is left.
	lastWords = 2 * time.Second
)

// printed takes one stream of a daemon: for the slice that it works on, or for its slot.
type printed struct {
	tap *proc.Tap
	log io.Writer
	now *proc.Capture
}

func newPrinted(log io.Writer) (p *printed, err error) {
	p = &printed{log: log, now: proc.NewCapture(kept, kept)}
	if p.tap, err = proc.NewTap(io.MultiWriter(p.now, log)); err != nil {
		return nil, exitcode.New(exitcode.SiteResources, "making a pipe: %w", err)
	}
	return p, nil
}

// turn has what is printed from now on go to another log; it returns what was printed since the last turn.
func (p *printed) turn(log io.Writer) string {
	before := p.now
	p.log, p.now = log, proc.NewCapture(kept, kept)
	p.tap.Turn(io.MultiWriter(p.now, log))
	return before.String()
}

// last is what was printed since the last turn.
func (p *printed) last() string {
	p.tap.Turn(io.MultiWriter(p.now, p.log)) // takes what is still in the pipe
	return p.now.String()
}

// close is called when nobody of the daemon is left.
func (p *printed) close() { p.tap.Close(time.Now().Add(lastWords)) }
