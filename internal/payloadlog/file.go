package payloadlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// block is what a file system can take out of a file.
	block = 4096
	// inMemory is what is kept of the end of a log where the file system cannot take out the middle.
	inMemory = 64 << 10
)

// file is one stream of a slice. It is written as it comes, so that it is there whatever ends us; once it is longer than its
// bound, the file system gives back the blocks of its middle.
type file struct {
	path       string
	head, tail int64

	mu     sync.Mutex
	file   *os.File
	size   int64 // all that was printed
	hole   int64 // where the hole ends; 0 without one
	rest   *proc.Capture
	before int64 // bytes in the file when rest began
	err    error
}

// Write takes everything, also when it cannot be kept: a payload is not to stall or fail for its log.
func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && f.rest == nil {
		f.err = f.write(p)
	} else if f.rest != nil {
		_, _ = f.rest.Write(p)
	}
	f.size += int64(len(p))
	return len(p), nil
}

func (f *file) write(p []byte) error {
	if f.file == nil {
		if err := f.create(); err != nil {
			return err
		}
	}
	if _, err := f.file.Write(p); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "writing a payload's log: %w", err)
	}
	// Every now and then, not with every line.
	end := (f.size + int64(len(p)) - f.tail) / block * block
	if start := max(f.head, f.hole); end-start >= f.tail {
		const giveBack = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
		if unix.Fallocate(int(f.file.Fd()), giveBack, start, end-start) == nil {
			f.hole = end
		} else { // not on every file system: the end waits in memory then
			f.rest, f.before = proc.NewCapture(0, inMemory), f.size+int64(len(p))
		}
	}
	return nil
}

// create makes the file, in a folder that must be ours: in a temporary folder anybody could have made it.
func (f *file) create() error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "making the folder of logs: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "making the folder of logs: %w", err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(s.Uid) != os.Geteuid() {
		return exitcode.New(exitcode.SiteNoSpace, "%s is somebody else's: set --log-dir", dir)
	}
	base := f.path
	for n := 2; ; n++ {
		f.file, err = os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
		switch _, done := os.Lstat(f.path + compressed); {
		case err == nil && errors.Is(done, fs.ErrNotExist):
			return nil
		case err == nil: // the same attempt was here before and is complete
			_ = f.file.Close()
			_ = os.Remove(f.path)
			f.file = nil
		case !errors.Is(err, fs.ErrExist):
			f.file = nil
			return exitcode.New(exitcode.SiteNoSpace, "making a payload's log: %w", err)
		}
		f.path = fmt.Sprintf("%s.%d", base, n)
	}
}

// close compresses or removes the file and returns the one that is left.
func (f *file) close(keep bool) (kept string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return "", f.err
	}
	defer func() { _ = f.file.Close() }()
	if keep {
		if err := f.compress(); err != nil {
			return f.path, errors.Join(f.err, exitcode.New(exitcode.SiteNoSpace, "compressing a payload's log: %w", err))
		}
		kept = f.path + compressed
	}
	if err := os.Remove(f.path); err != nil {
		return kept, errors.Join(f.err, exitcode.New(exitcode.SiteNoSpace, "removing a payload's log: %w", err))
	}
	return kept, f.err
}

// compress writes head, a line that says what was dropped, and tail, under the name that a complete log has.
func (f *file) compress() error {
	to := f.path + compressed
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		_ = out.Close()
		_ = os.Remove(to + ".new")
	}()
	// A pilot is small: so is the window.
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	if err := errors.Join(f.copyTo(z), z.Close(), out.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

func (f *file) copyTo(w io.Writer) error {
	if f.rest != nil {
		if _, err := io.Copy(w, io.NewSectionReader(f.file, 0, f.before)); err != nil {
			return err
		}
		_, err := w.Write(f.rest.Bytes()) // begins with the line that says what was dropped
		return err
	}
	if f.hole == 0 {
		_, err := io.Copy(w, io.NewSectionReader(f.file, 0, f.size))
		return err
	}
	if _, err := io.Copy(w, io.NewSectionReader(f.file, 0, f.head)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n... %d bytes dropped ...\n", f.hole-f.head); err != nil {
		return err
	}
	_, err := io.Copy(w, io.NewSectionReader(f.file, f.hole, f.size-f.hole))
	return err
}
