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

// Tap is a pipe into which a program that stays prints, and brings that to where it belongs at the time: the log of the work under way,
// or that of the time between.
type Tap struct {
	// Theirs is the program's end. It is ours too until [Tap.Close]: whoever starts the program may pass on what it prints, instead of the end.
	Theirs *os.File

	pipe *os.File
	done chan struct{}

	mu     sync.Mutex
	to     io.Writer
	buffer []byte
}

// NewTap makes the pipe, and takes what comes from it until it is closed.
func NewTap(to io.Writer) (*Tap, error) {
	pipe, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &Tap{Theirs: theirs, pipe: pipe, done: make(chan struct{}), to: to, buffer: make([]byte, 16<<10)}
	go func() {
		defer close(t.done)
		raw, err := pipe.SyscallConn()
		for err == nil {
			err = t.wait(raw)
		}
	}()
	return t, nil
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

// Close takes what is still there and closes the pipe, when nobody of the program is left. Should somebody else have got its end over a
// socket, it waits until the deadline.
func (t *Tap) Close(deadline time.Time) {
	_ = t.Theirs.Close()
	_ = t.pipe.SetReadDeadline(deadline)
	<-t.done
	_ = t.pipe.Close()
}
