package proc

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeMost is more than a pipe holds.
const pipeMost = 1 << 20

// Tap takes what a program that stays prints into a pipe, and brings it to where it belongs at that time: the log of the work under way,
// or that of the time between.
type Tap struct {
	pipe *os.File
	done chan struct{}

	mu     sync.Mutex
	to     io.Writer
	buffer []byte
}

// NewTap takes what comes from a pipe until its end.
func NewTap(pipe *os.File, to io.Writer) *Tap {
	t := &Tap{pipe: pipe, done: make(chan struct{}), to: to, buffer: make([]byte, 16<<10)}
	go func() {
		defer close(t.done)
		raw, err := pipe.SyscallConn()
		for err == nil {
			err = t.wait(raw)
		}
	}()
	return t
}

// wait waits until there is something, and takes it.
func (t *Tap) wait(raw syscall.RawConn) (err error) {
	if rerr := raw.Read(func(fd uintptr) (done bool) {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, err = t.read(fd)
		return !errors.Is(err, unix.EAGAIN)
	}); rerr != nil {
		return rerr
	}
	return err
}

// read takes what is there. The caller holds t.mu.
func (t *Tap) read(fd uintptr) (n int, err error) {
	for {
		n, err = unix.Read(int(fd), t.buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n <= 0:
			return 0, io.EOF
		default:
			_, _ = t.to.Write(t.buffer[:n]) // a log that cannot be written is no reason to stall
			return n, nil
		}
	}
}

// Turn sends what is printed from now on elsewhere. What was printed before is taken first: it is in the pipe when the program has
// said something elsewhere afterwards.
func (t *Tap) Turn(to io.Writer) {
	raw, err := t.pipe.SyscallConn()
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = raw.Control(func(fd uintptr) {
		for sum := 0; sum < pipeMost; { // one that floods us is not waited for
			n, err := t.read(fd)
			if err != nil {
				return
			}
			sum += n
		}
	})
	t.to = to
}

// Close takes what is still there and closes the pipe. It waits for its end, which comes when nobody has the other one any more; should
// somebody have got it over a socket, until the deadline.
func (t *Tap) Close(deadline time.Time) {
	_ = t.pipe.SetReadDeadline(deadline)
	<-t.done
	_ = t.pipe.Close()
}
