package resident

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// pipeMost is more than a pipe holds.
const pipeMost = 1 << 20

// printed takes what a process prints for people, and brings it to where it belongs at that time: to the log of the slice being
// worked on, or to that of the time between.
type printed struct {
	pipe *os.File
	done chan struct{}

	mu   sync.Mutex
	to   io.Writer
	last []byte // a buffer
}

// take takes what comes from a pipe until its end.
func take(pipe *os.File, to io.Writer) *printed {
	p := &printed{pipe: pipe, done: make(chan struct{}), to: to, last: make([]byte, 16<<10)}
	go func() {
		defer close(p.done)
		raw, err := pipe.SyscallConn()
		for err == nil {
			err = p.wait(raw)
		}
	}()
	return p
}

// wait waits until there is something, and takes it.
func (p *printed) wait(raw interface {
	Read(func(fd uintptr) bool) error
},
) (err error) {
	if rerr := raw.Read(func(fd uintptr) (done bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, err = p.read(fd)
		return !errors.Is(err, unix.EAGAIN)
	}); rerr != nil {
		return rerr
	}
	return err
}

// read takes what is there. The caller holds p.mu.
func (p *printed) read(fd uintptr) (n int, err error) {
	for {
		n, err = unix.Read(int(fd), p.last)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n <= 0:
			return 0, io.EOF
		default:
			_, _ = p.to.Write(p.last[:n]) // a log that cannot be written is no reason to stall
			return n, nil
		}
	}
}

// turn sends what is printed from now on elsewhere. What was printed before is taken first: it is in the pipe when the process has
// said something afterwards.
func (p *printed) turn(to io.Writer) {
	raw, err := p.pipe.SyscallConn()
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = raw.Control(func(fd uintptr) {
		for sum := 0; sum < pipeMost; { // one that floods us is not waited for
			n, err := p.read(fd)
			if err != nil {
				return
			}
			sum += n
		}
	})
	p.to = to
}
