package eicrecon

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// kept of each stream, head and tail each, in bytes.
	kept = 16 << 10
	// pipeMost is more than a pipe holds.
	pipeMost = 1 << 20
)

// printed takes one stream of a daemon: for the slice that it works on, or for its slot.
type printed struct {
	theirs *os.File // the daemon's end, ours until the end, so that it stays a stream whoever closes it
	ours   *os.File
	raw    syscall.RawConn
	done   chan struct{}

	mu     sync.Mutex
	log    io.Writer
	now    *proc.Capture
	buffer []byte
}

func newPrinted(log io.Writer) (*printed, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, exitcode.New(exitcode.SiteResources, "making a pipe: %w", err)
	}
	p := &printed{theirs: theirs, ours: ours, done: make(chan struct{}), log: log, now: proc.NewCapture(kept, kept), buffer: make([]byte, kept)}
	if p.raw, err = ours.SyscallConn(); err != nil {
		return nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	go func() {
		defer close(p.done)
		for p.wait() == nil {
			continue
		}
	}()
	return p, nil
}

// wait waits until there is something, and takes it.
func (p *printed) wait() error {
	var err error
	werr := p.raw.Read(func(fd uintptr) (done bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, err = p.take(fd)
		return !errors.Is(err, unix.EAGAIN)
	})
	return errors.Join(werr, err)
}

// take takes what is there. The caller holds p.mu.
func (p *printed) take(fd uintptr) (int, error) {
	n, err := unix.Read(int(fd), p.buffer)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(int(fd), p.buffer)
	}
	switch {
	case err != nil:
		return 0, err
	case n <= 0:
		return 0, io.EOF
	}
	_, _ = p.now.Write(p.buffer[:n])
	_, _ = p.log.Write(p.buffer[:n]) // a daemon does not stall for its log
	return n, nil
}

// empty takes what was printed so far: a daemon that has answered has printed before.
func (p *printed) empty() {
	_ = p.raw.Control(func(fd uintptr) {
		for sum := 0; sum < pipeMost; { // one that floods us is not waited for
			n, err := p.take(fd)
			if err != nil {
				return
			}
			sum += n
		}
	})
}

// turn has what is printed from now on go to another log; it returns what was printed since the last turn.
func (p *printed) turn(log io.Writer) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.empty()
	text := p.now.String()
	p.log, p.now = log, proc.NewCapture(kept, kept)
	return text
}

// last is what was printed since the last turn.
func (p *printed) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.empty()
	return p.now.String()
}

// close is called when nobody of the daemon is left. Should somebody else hold its end (a descriptor passed over a socket), the time is
// bounded.
func (p *printed) close() {
	_ = p.theirs.Close()
	_ = p.ours.SetReadDeadline(time.Now().Add(2 * time.Second))
	<-p.done
	_ = p.ours.Close()
}
