package seglog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tryAgain is the time between two attempts on a full disk.
const tryAgain = time.Second

// write is the only writer, until the log is closed or fails.
func (l *Log) write() {
	defer close(l.ended)
	for {
		b, closing := l.take()
		switch {
		case b != nil:
			if err := l.put(b); err != nil {
				l.fail(err)
				return
			}
			l.settle(b)
		case closing:
			if l.file == nil {
				return
			}
			if err := l.file.Close(); err != nil {
				l.fail(fmt.Errorf("closing the log: %w", err))
			}
			return
		default:
			l.pause()
		}
	}
}

// take is the block that waits longest. It is no longer added to.
func (l *Log) take() (b *block, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return nil, l.closing
	}
	b = l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	return b, l.closing
}

// pause waits for something to write, and for room meanwhile.
func (l *Log) pause() {
	if l.reserve {
		<-l.wake
		return
	}
	t := time.NewTimer(tryAgain)
	defer t.Stop()
	select {
	case <-l.wake:
	case <-t.C:
		l.takeReserve()
	}
}

// settle tells that a block is on disk, and frees what it was to replace.
func (l *Log) settle(b *block) {
	for ; l.oldest < b.free; l.oldest++ { // the oldest first, and it again when it could not be removed: there must be no gap
		if err := os.Remove(segmentPath(l.dir, l.oldest)); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.log.Error("removing a segment of the log", slog.Any("err", err))
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.backlog -= int64(len(b.bytes))
	l.synced = b.last
	l.tell()
}

// tell says that there is news; the lock is held.
func (l *Log) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// put writes a block and syncs it. A full disk is waited out.
func (l *Log) put(b *block) error {
	if len(b.bytes) == 0 {
		return nil
	}
	for {
		err := l.tryPut(b)
		if err == nil {
			if !l.reserve {
				l.takeReserve()
			}
			return nil
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
			return err
		}
		l.mu.Lock()
		if l.full == nil {
			l.full = err
			l.log.Error("the disk of the log is full", slog.String("folder", l.dir), slog.Any("err", err))
			l.tell() // who waits to make it longer need not wait
		}
		closing := l.closing
		l.mu.Unlock()
		if l.reserve {
			l.reserve = false
			if err := os.Remove(l.reservePath()); err == nil {
				continue
			}
		}
		if closing {
			return err
		}
		select {
		case <-l.wake: // the end perhaps
		case <-time.After(tryAgain):
		}
	}
}

// tryPut leaves the segment as it was when there is no room.
func (l *Log) tryPut(b *block) error {
	if b.number != l.number {
		if err := l.begin(b.number); err != nil {
			return err
		}
	}
	if err := l.ask(int64(len(b.bytes))); err != nil {
		return err
	}
	sealBlock(b.bytes, b.number, l.end)
	if _, err := l.file.WriteAt(b.bytes, l.end); err != nil {
		return errors.Join(fmt.Errorf("writing the log: %w", err), l.file.Truncate(l.end))
	}
	if !l.opts.NoSync {
		if err := l.file.Sync(); err != nil {
			// Not ENOSPC, whatever it is: after a failed sync nobody knows what is on the disk.
			return fmt.Errorf("syncing the log %s: %v", l.file.Name(), err) //nolint:errorlint // on purpose
		}
	}
	l.end += int64(len(b.bytes))
	return nil
}

// begin makes the next segment.
func (l *Log) begin(number uint64) error {
	if err := l.ask(headBytes); err != nil {
		return err
	}
	f, err := os.OpenFile(segmentPath(l.dir, number), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("beginning a segment of the log: %w", err)
	}
	if _, err := f.WriteAt(segmentHead(l.opts.Version, number, l.end), 0); err != nil {
		return errors.Join(fmt.Errorf("beginning a segment of the log: %w", err), f.Close())
	}
	if !l.opts.NoSync {
		if err := syncFolder(l.dir); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if l.file != nil {
		_ = l.file.Close() // it is synced
	}
	l.file, l.number, l.end = f, number, headBytes
	return nil
}

func (l *Log) ask(bytes int64) error {
	if l.opts.Disk == nil {
		return nil
	}
	return l.opts.Disk(bytes)
}

func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	close(l.failed)
	l.tell()
}

func (l *Log) reservePath() string { return filepath.Join(l.dir, "reserve") }

// takeReserve sets room aside, or says that there is none.
func (l *Log) takeReserve() {
	err := l.ask(l.opts.ReserveBytes)
	if err == nil {
		err = reserve(l.reservePath(), l.opts.ReserveBytes)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserve = err == nil
	switch {
	case err == nil && l.full != nil:
		l.log.Info("the disk of the log has room again", slog.String("folder", l.dir))
		l.full = nil
	case err != nil && l.full == nil:
		l.full = fmt.Errorf("setting %d MiB aside for the log: %w", l.opts.ReserveBytes>>20, err)
		l.log.Error("the disk of the log is full", slog.String("folder", l.dir), slog.Any("err", err))
		l.tell()
	}
}

// reserve makes a file with blocks of its own.
func reserve(path string, bytes int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, bytes)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		_, err = f.WriteAt(make([]byte, bytes), 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// syncFolder makes the names in a folder last.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
