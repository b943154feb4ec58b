package proc

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// pipeBytes is what a pipe surely takes while nobody reads it: the kernel gives it 64 KiB, or a page when the user has many.
const pipeBytes = 4096

// Streams are what a program reads and prints, fed and taken by goroutines of their own. Files are used rather than os/exec's
// own copying, which waits for whoever still holds the other end: the tree is ended first, then the pipes run dry by
// themselves.
type Streams struct {
	// Child are the program's ends of stdin, stdout and stderr.
	Child [3]*os.File

	theirs  []*os.File // those of Child that we made
	ours    []*os.File
	copying sync.WaitGroup
}

// Connect makes pipes for what is neither a file nor nil, which stands for nothing to read and nobody who listens.
func Connect(stdin io.Reader, stdout, stderr io.Writer) (*Streams, error) {
	s := &Streams{}
	err := s.connect(stdin, stdout, stderr)
	if err != nil {
		s.Started()
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Streams) connect(stdin io.Reader, stdout, stderr io.Writer) (err error) {
	if s.Child[0], err = s.in(stdin); err != nil {
		return err
	}
	if s.Child[1], err = s.out(stdout); err != nil {
		return err
	}
	if stderr == stdout {
		s.Child[2] = s.Child[1]
		return nil
	}
	s.Child[2], err = s.out(stderr)
	return err
}

func (s *Streams) in(r io.Reader) (*os.File, error) {
	if r == nil {
		return s.null()
	}
	if f, ok := r.(*os.File); ok {
		return f, nil
	}
	child, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.theirs = append(s.theirs, child)
	if b, ok := r.(*bytes.Reader); ok && b.Len() <= pipeBytes {
		_, err := io.Copy(w, b) // there is room for all of it: nobody needs to wait
		return child, errors.Join(err, w.Close())
	}
	s.ours = append(s.ours, w)
	s.copying.Go(func() {
		_, _ = io.Copy(w, r) // a program that does not read its input is no error
		_ = w.Close()
	})
	return child, nil
}

func (s *Streams) out(w io.Writer) (*os.File, error) {
	if w == nil {
		return s.null()
	}
	if f, ok := w.(*os.File); ok {
		return f, nil
	}
	r, child, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.theirs, s.ours = append(s.theirs, child), append(s.ours, r)
	s.copying.Go(func() { _, _ = io.Copy(w, r) })
	return child, nil
}

func (s *Streams) null() (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil {
		s.theirs = append(s.theirs, f)
	}
	return f, err
}

// Started is called when the program has its ends, or will never have them.
func (s *Streams) Started() {
	for _, f := range s.theirs {
		_ = f.Close()
	}
}

// Close is called when nobody of the tree holds the pipes any more, and returns when all that was printed has been taken.
// Should somebody else hold one (a descriptor passed over a socket), the time is bounded.
func (s *Streams) Close() {
	deadline := time.Now().Add(2 * time.Second)
	for _, f := range s.ours {
		_ = f.SetReadDeadline(deadline)
		_ = f.SetWriteDeadline(time.Now())
	}
	s.copying.Wait()
	for _, f := range s.ours {
		_ = f.Close()
	}
}
