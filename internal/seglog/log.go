package seglog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// Options of a log; the zero value is one of version 0.
type Options struct {
	// Version of the records: a log of a higher one is refused.
	Version uint32
	// SegmentBytes is the size after which a new segment is begun (default 8 MiB).
	SegmentBytes int64
	// ReserveBytes is room on the disk that is given up when it is full (default 24 MiB). The log is written in order: what was
	// taken before it was known that the disk is full stands before the records that make it shorter, and must find room here.
	ReserveBytes int64
	// BacklogBytes is how much may wait to be written before Wait waits (default a third of ReserveBytes).
	BacklogBytes int64
	// NoSync leaves it to the system when what was written is on disk: a crash of the machine may lose what Progress told.
	NoSync bool
	// Disk is for tests: it is asked before so many bytes are written or reserved, and its error is the disk's.
	Disk func(bytes int64) error
	// Logger hears of torn tails and full disks; nobody when nil.
	Logger *slog.Logger
}

// blockLimit is the size at which a block that waits to be written is followed by another.
const blockLimit = 4 << 20

// Log is an open log. Its methods may be called from any goroutine.
type Log struct {
	dir  string
	opts Options
	log  *slog.Logger

	// The writer's alone: the oldest segment in the folder, the one that it is at, and whether the reserve is there.
	oldest  uint64
	file    *os.File
	number  uint64 // 0: none yet
	end     int64
	reserve bool

	mu       sync.Mutex
	waiting  []*block
	backlog  int64 // bytes in waiting, and in the block that is being written
	sizes    []segment
	bytes    int64  // of all segments
	appended uint64 // serial number of the last record
	synced   uint64 // of the last one that is on disk
	changed  chan struct{}
	full     error
	closing  bool
	err      error

	wake   chan struct{}
	failed chan struct{}
	ended  chan struct{}
}

type segment struct {
	number uint64
	bytes  int64
}

// block is what is written and synced at once.
type block struct {
	number uint64
	bytes  []byte // beginning with room for its head; empty: there is only something to be freed
	last   uint64 // serial number of its last record
	free   uint64 // then the segments before this one go; 0: none
}

// Open reads the log in a folder, or makes one, and hands out its records in order; segment is where a record stands. The
// record is replay's only until it returns.
func Open(dir string, opts Options, replay func(segment uint64, record []byte) error) (*Log, error) {
	opts.SegmentBytes = cmp.Or(opts.SegmentBytes, 8<<20)
	opts.ReserveBytes = cmp.Or(opts.ReserveBytes, 24<<20)
	opts.BacklogBytes = cmp.Or(opts.BacklogBytes, opts.ReserveBytes/3)
	opts.Logger = cmp.Or(opts.Logger, slog.New(slog.DiscardHandler))
	l := &Log{
		dir: dir, opts: opts, log: opts.Logger, changed: make(chan struct{}),
		wake: make(chan struct{}, 1), failed: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the log's folder: %w", err)
	}
	numbers, err := segments(dir)
	if err != nil {
		return nil, err
	}
	for i, number := range numbers {
		if err := l.read(number, i == 0, i == len(numbers)-1, replay); err != nil {
			return nil, err
		}
	}
	if l.number > 0 {
		if l.file, err = os.OpenFile(segmentPath(dir, l.number), os.O_RDWR, 0); err != nil {
			return nil, fmt.Errorf("opening the log: %w", err)
		}
	}
	l.oldest = 1
	if len(l.sizes) > 0 {
		l.oldest = l.sizes[0].number
	}
	l.takeReserve()
	go l.write()
	return l, nil
}

// read reads one segment. What a crash has left of the last one is cut off.
func (l *Log) read(number uint64, first, last bool, replay func(uint64, []byte) error) error {
	path := segmentPath(l.dir, number)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	damaged := func(offset int64, what string) error {
		return fmt.Errorf("%w: %s at offset %d: %s", ErrDamaged, path, offset, what)
	}
	before, err := readHead(b, l.opts.Version, number)
	switch {
	case errors.Is(err, errTorn):
		if !last || blockAfter(b, number, 0) {
			return damaged(0, "the head of the segment is not as it was written")
		}
		l.log.Warn("the last segment of the log was not finished; nothing in it was promised to anybody", slog.String("file", path), slog.Int("bytes", len(b)))
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing what a crash left: %w", err)
		}
		return syncFolder(l.dir)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case !first && before != l.end:
		return damaged(l.end, fmt.Sprintf("%s ends here, not at %d", filepath.Base(segmentPath(l.dir, number-1)), before))
	}
	offset := int64(headBytes)
	for offset < int64(len(b)) {
		content, err := readBlock(b, number, offset)
		if err == nil {
			err = records(content, func(record []byte) error { return replay(number, record) })
			if err != nil {
				return damaged(offset, err.Error())
			}
			offset += blockBytes + int64(len(content))
			continue
		}
		if !last || blockAfter(b, number, offset+1) {
			return damaged(offset, "a checksum does not fit")
		}
		l.log.Warn("the end of the log was not finished; nothing in it was promised to anybody",
			slog.String("file", path), slog.Int64("offset", offset), slog.Int64("bytes", int64(len(b))-offset))
		if err := cut(path, offset); err != nil {
			return err
		}
		break
	}
	l.number, l.end = number, offset
	l.sizes = append(l.sizes, segment{number, offset})
	l.bytes += offset
	return nil
}

// cut ends a file at an offset, for good.
func cut(path string, offset int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cutting off what a crash left: %w", err)
	}
	if err := errors.Join(f.Truncate(offset), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cutting off what a crash left: %w", err)
	}
	return nil
}

// Append adds a record and says in which segment it will stand and its serial number. It is on disk when Progress has
// reached that.
func (l *Log) Append(record []byte) (number, serial uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.last(len(record))
	was := len(b.bytes)
	b.bytes = binary.AppendUvarint(b.bytes, uint64(len(record)))
	b.bytes = append(b.bytes, record...)
	l.grow(b.number, int64(len(b.bytes)-was))
	l.appended++
	b.last = l.appended
	l.signal()
	return b.number, l.appended
}

// last is the block that the next record goes to.
func (l *Log) last(record int) *block {
	number := uint64(1)
	if n := len(l.sizes); n > 0 {
		number = l.sizes[n-1].number
		if l.sizes[n-1].bytes >= l.opts.SegmentBytes {
			number++
		}
	}
	if n := len(l.waiting); n > 0 {
		b := l.waiting[n-1]
		if b.number == number && len(b.bytes)+record <= blockLimit {
			return b
		}
	}
	b := &block{number: number, bytes: make([]byte, blockBytes, blockBytes+record+16)}
	l.waiting = append(l.waiting, b)
	l.grow(number, blockBytes)
	return b
}

// grow counts bytes that a segment will have.
func (l *Log) grow(number uint64, bytes int64) {
	if n := len(l.sizes); n == 0 || l.sizes[n-1].number != number {
		l.sizes = append(l.sizes, segment{number, headBytes})
		l.bytes += headBytes
	}
	l.sizes[len(l.sizes)-1].bytes += bytes
	l.bytes += bytes
	l.backlog += bytes
}

// Next is the serial number that the next record will have.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appended + 1
}

// Oldest is the number of the oldest segment, Newest of that in which the last record stands; 0 when there is none.
func (l *Log) Oldest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sizes) == 0 {
		return 0
	}
	return l.sizes[0].number
}

// Newest is the segment in which the last record stands; 0 when there is none.
func (l *Log) Newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sizes) == 0 {
		return 0
	}
	return l.sizes[len(l.sizes)-1].number
}

// Bytes is the size of the log.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// Free removes the segments before a number, when everything that was appended until now is on disk: what they held may stand
// there anew. The newest stays.
func (l *Log) Free(before uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sizes) < 2 || l.sizes[0].number >= before {
		return
	}
	b := &block{last: l.appended}
	for len(l.sizes) > 1 && l.sizes[0].number < before {
		l.bytes -= l.sizes[0].bytes
		l.sizes = l.sizes[1:]
	}
	b.free = l.sizes[0].number
	l.waiting = append(l.waiting, b)
	l.signal()
}

// Progress is the serial number of the last record on disk; changed is closed when there is news, of the log's end too.
func (l *Log) Progress() (synced uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.synced, l.changed
}

// Largest is how long a record that makes the log longer may be. Besides the backlog the reserve has room for one, and as much
// for what is written anew to free segments and for the records that make the log shorter.
func (l *Log) Largest() int64 { return (l.opts.ReserveBytes - l.opts.BacklogBytes) / 2 }

// Ready reports whether the log is written fast enough for more to be appended. A full one is, for who asks Full then.
func (l *Log) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready()
}

func (l *Log) ready() bool { return l.backlog <= l.opts.BacklogBytes || l.full != nil || l.err != nil }

// Wait returns when the log is ready, or when done is closed. Of several who wait all return: who appends asks Ready again,
// under a lock of their own.
func (l *Log) Wait(done <-chan struct{}) {
	for {
		l.mu.Lock()
		changed, ok := l.changed, l.ready()
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-done:
			return
		}
	}
}

// Full is why nothing should be appended that makes the log longer for good; nil when there is room.
func (l *Log) Full() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

// Failed is closed when the log has failed; Err says why. Nothing is written after that.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Err is why the log has failed.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close writes what waits and the end of the log. On a full disk it does not wait for room.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closing && l.err == nil && len(l.sizes) > 0 {
		number := l.sizes[len(l.sizes)-1].number
		l.waiting = append(l.waiting, &block{number: number, bytes: make([]byte, blockBytes), last: l.appended})
		l.grow(number, blockBytes)
	}
	l.closing = true
	l.mu.Unlock()
	l.signal()
	<-l.ended
	return l.Err()
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
