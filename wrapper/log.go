package wrapper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

const (
	// maxIdentity bounds what a slice's identity takes of a file name.
	maxIdentity = 100
	// block is what a file system can take out of a file.
	block = 4096
	// compressed ends the name of a log that is complete.
	compressed = ".zst"
	// orphaned is the age of a log that nobody writes any more: its pilot was killed.
	orphaned = 24 * time.Hour
	// inMemory is what is kept of the end of a log where the file system cannot take out the middle.
	inMemory = 64 << 10
)

// logFolder holds the logs of payloads.
type logFolder struct {
	dir string
	// size bounds one log, half of it for its head and half for its tail; total all of them.
	size, total int64
	// all keeps those of slices that are done too.
	all bool
}

// DefaultLogDir is where the logs of payloads go when nothing is said: beside the slices' folders, one for each user.
func DefaultLogDir(workDir string) string {
	if workDir == "" {
		workDir = os.TempDir()
	}
	return filepath.Join(workDir, fmt.Sprintf("tfpilot-logs-%d", os.Getuid()))
}

// sliceLog is the log of one slice: a file for each stream that something was printed to.
type sliceLog struct {
	folder  logFolder
	streams [2]*logFile
}

// open begins the log of a slice in a slot. Nothing is made before something is printed.
func (f logFolder) open(slot int, s message.Slice) *sliceLog {
	run, identity := nameParts(s)
	l := &sliceLog{folder: f}
	for i, stream := range []string{"out", "err"} {
		l.streams[i] = f.stream(fmt.Sprintf("%s.%s.a%d.slot%02d.%s", run, identity, s.Content.AttemptNumber(), slot, stream))
	}
	return l
}

// nameParts are run and identity of a slice as they stand in the names of its logs.
func nameParts(s message.Slice) (run, identity string) {
	identity = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_", r) {
			return r
		}
		return '_'
	}, s.Content.Identity())
	run = strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || r < ' ' {
			return '_'
		}
		return r
	}, s.Run().String())
	return run[:min(len(run), maxIdentity)], identity[:min(len(identity), maxIdentity)]
}

// between begins the log of what a payload that stays in a slot prints while there is no slice, neither of a run nor an attempt.
func (f logFolder) between(slot int) *sliceLog {
	l := &sliceLog{folder: f}
	for i, stream := range []string{"out", "err"} {
		l.streams[i] = f.stream(fmt.Sprintf("-.between-slices.a0.slot%02d.%s", slot, stream))
	}
	return l
}

func (f logFolder) stream(name string) *logFile {
	return &logFile{path: filepath.Join(f.dir, name), head: f.size / 2 / block * block, tail: f.size / 2}
}

// writers are where a payload that stays prints to.
func (l *sliceLog) writers() payload.Log {
	if l.folder.dir == NoLogs {
		return payload.Log{Stdout: io.Discard, Stderr: io.Discard}
	}
	return payload.Log{Stdout: l.streams[0], Stderr: l.streams[1]}
}

// tee has what a program prints go to the log too.
func (l *sliceLog) tee(c proc.Command) proc.Command {
	if l.folder.dir == NoLogs {
		return c
	}
	join := func(w io.Writer, log *logFile) io.Writer {
		if w == nil {
			return log
		}
		return io.MultiWriter(w, log)
	}
	c.Stdout, c.Stderr = join(c.Stdout, l.streams[0]), join(c.Stderr, l.streams[1])
	return c
}

// close ends the log: it is compressed, or removed when nobody will want it. It returns the files that are kept.
func (l *sliceLog) close(failed bool) (files []string, err error) {
	var errs []error
	for _, f := range l.streams {
		kept, err := f.close(failed || l.folder.all)
		if kept != "" {
			files = append(files, kept)
		}
		errs = append(errs, err)
	}
	if len(files) > 0 {
		errs = append(errs, l.folder.prune())
	}
	return files, errors.Join(errs...)
}

// prune removes the oldest logs until the others are within the bound. Those that are being written stay.
func (f logFolder) prune() error {
	type log struct {
		path    string
		size    int64
		written time.Time
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "looking at the logs: %w", err)
	}
	var logs []log
	var sum int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || logKey(e.Name()) == "" {
			continue
		}
		size := info.Size()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			size = max(s.Blocks*512, 1)
		}
		sum += size
		if strings.HasSuffix(e.Name(), compressed) || time.Since(info.ModTime()) > orphaned {
			logs = append(logs, log{filepath.Join(f.dir, e.Name()), size, info.ModTime()})
		}
	}
	slices.SortFunc(logs, func(a, b log) int { return a.written.Compare(b.written) })
	for _, l := range logs {
		if sum <= f.total {
			break
		}
		if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return exitcode.New(exitcode.SiteNoSpace, "removing an old log: %w", err)
		}
		sum -= l.size
	}
	return nil
}

// logKey is the name of a log without what says how it is stored; empty for a file that is none.
func logKey(name string) string {
	key := strings.TrimSuffix(name, compressed)
	if i := strings.Index(key, ".slot"); i < 0 || !strings.Contains(key[i:], ".out") && !strings.Contains(key[i:], ".err") {
		return ""
	}
	return key
}

// logFile is one stream of a slice. It is written as it comes, so that it is there whatever ends us; once it is longer than its
// bound, the file system gives back the blocks of its middle.
type logFile struct {
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
func (f *logFile) Write(p []byte) (int, error) {
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

func (f *logFile) write(p []byte) error {
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
func (f *logFile) create() error {
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
func (f *logFile) close(keep bool) (kept string, err error) {
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
func (f *logFile) compress() error {
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

func (f *logFile) copyTo(w io.Writer) error {
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
