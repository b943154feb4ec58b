// Package journal is a pilot's memory on disk: which slices it holds and which results are not yet acknowledged, so that after
// a kill -9 the next pilot on the node answers redeliveries with the same bytes instead of working again.
//
// One folder per node and namespace, one file per pilot, held by a lock while the pilot lives. A new pilot takes over the
// files whose lock is free. A torn tail is dropped. Writes reach the kernel, which survives the death of a process; fsync, for
// the death of the node, is an option. The file starts anew when nothing is held, so it stays small.
package journal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/pilot"
)

const (
	// emptyAt is the size at which a file of which nothing is held any more starts from its beginning.
	emptyAt = 256 << 10
	// compactAt is the size at which a file that never runs empty is written anew.
	compactAt = 16 << 20
)

// headBytes are two lengths and a checksum.
const headBytes = 12

// maxRecord bounds a record, so that a damaged length does not allocate the machine.
const maxRecord = 64 << 20

// Journal is one pilot's file and what it took over.
type Journal struct {
	fsync bool
	log   *slog.Logger

	mu      sync.Mutex
	file    *os.File
	path    string
	size    int64
	entries map[key]*entry
	buf     []byte
}

var _ pilot.Journal = (*Journal)(nil)

type key struct{ run, identity string }

type entry struct {
	record

	adopted   bool // of a pilot before us: not ours to count
	published bool // the broker has it; not on disk, because a result that is sent again changes nothing
}

// record is one entry of the file. On disk: the lengths of head and result, a CRC-32C over both (12 bytes, little-endian), the
// head as JSON, the result as it will be sent.
type record struct {
	Op       string `json:"op"`
	Run      string `json:"run"`
	Identity string `json:"identity"`
	Attempt  int    `json:"attempt"`
	Done     bool   `json:"done,omitempty"`
	// At is when it was written, in seconds since 1970.
	At int64 `json:"at"`

	result []byte
}

// keepFor is how long the results of pilots that are gone are kept for redeliveries: as long as a broker keeps a slice.
const keepFor = 24 * time.Hour

const (
	opReceived = "r"
	opOutcome  = "o"
	opDropped  = "d"
)

func (e *entry) ended() bool { return e.Op == opOutcome }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Open makes a file in a folder and takes over the files of pilots that are gone.
func Open(dir string, fsync bool, log *slog.Logger) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the journal's folder: %w", err)
	}
	path := filepath.Join(dir, rand.Text()+".journal")
	f, err := openLocked(path, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the journal: %w", err)
	}
	j := &Journal{fsync: fsync, log: log, file: f, path: path, entries: map[key]*entry{}}
	if err := j.adopt(dir); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// openLocked opens a file and takes its lock; a lock that somebody holds is EWOULDBLOCK.
func openLocked(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// adopt reads the files that no living pilot holds into ours and removes them.
func (j *Journal) adopt(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		return fmt.Errorf("listing journals: %w", err)
	}
	for _, path := range files {
		if path == j.path {
			continue
		}
		f, err := openLocked(path, 0)
		if err != nil {
			continue // its pilot lives, or it is gone already
		}
		found := map[key]*entry{}
		read(f, found)
		results := 0
		for k, e := range found {
			if e.ended() && j.entries[k] == nil && time.Since(time.Unix(e.At, 0)) < keepFor {
				e.adopted = true
				j.entries[k] = e
				results++
			}
		}
		err = j.rewrite()
		if err == nil {
			err = os.Remove(path)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "taking over the journal %s: %w", path, err)
		}
		j.log.Info("took over a journal", slog.String("file", filepath.Base(path)), slog.Int("results", results))
	}
	return nil
}

// read applies the records of a file until its end, or where it is torn.
func read(r io.Reader, into map[key]*entry) {
	var lengths [headBytes]byte
	for {
		if _, err := io.ReadFull(r, lengths[:]); err != nil {
			return
		}
		head, result := binary.LittleEndian.Uint32(lengths[:]), binary.LittleEndian.Uint32(lengths[4:])
		if head > maxRecord || result > maxRecord {
			return
		}
		body, err := io.ReadAll(io.LimitReader(r, int64(head)+int64(result)))
		if err != nil || len(body) < int(head+result) || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(lengths[8:]) {
			return
		}
		var rec record
		if json.Unmarshal(body[:head], &rec) != nil {
			return
		}
		if result > 0 {
			rec.result = body[head:]
		}
		apply(into, rec)
	}
}

func apply(into map[key]*entry, rec record) {
	k := key{rec.Run, rec.Identity}
	if rec.Op == opDropped {
		delete(into, k)
		return
	}
	into[k] = &entry{record: rec}
}

// Received notes a slice in hand.
func (j *Journal) Received(k pilot.JournalKey) error {
	return j.write(record{Op: opReceived, Run: k.Run, Identity: k.Identity, Attempt: k.Attempt})
}

// Outcome notes a result before it is sent.
func (j *Journal) Outcome(k pilot.JournalKey, done bool, result []byte) error {
	return j.write(record{Op: opOutcome, Run: k.Run, Identity: k.Identity, Attempt: k.Attempt, Done: done, result: result})
}

// Drop forgets a slice.
func (j *Journal) Drop(k pilot.JournalKey) error {
	return j.write(record{Op: opDropped, Run: k.Run, Identity: k.Identity, Attempt: k.Attempt})
}

// Find returns the result of a slice: a done one answers this and every later attempt, a failed one its own.
func (j *Journal) Find(k pilot.JournalKey) (result []byte, done, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entries[key{k.Run, k.Identity}]
	if e == nil || !e.ended() || (!e.Done && e.Attempt != k.Attempt) || e.Attempt > k.Attempt {
		return nil, false, false
	}
	return e.result, e.Done, true
}

// Published notes that the broker has a result. It stays for redeliveries until the slice is acknowledged.
func (j *Journal) Published(k pilot.JournalKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.entries[key{k.Run, k.Identity}]; e != nil {
		e.published = true
	}
}

// Held is how many results of this pilot the broker does not have.
func (j *Journal) Held() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.entries {
		if e.ended() && !e.adopted && !e.published {
			n++
		}
	}
	return n
}

// Close lets go of the file; an empty one is removed.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var err error
	if len(j.entries) == 0 {
		err = os.Remove(j.path)
	} else {
		err = j.flush()
	}
	return errors.Join(err, j.file.Close())
}

// write notes a record. A drop waits for the next record: what a crash in between costs is an answer kept for nobody.
func (j *Journal) write(rec record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec.At = time.Now().Unix()
	nothing := len(j.entries) == 0
	apply(j.entries, rec)
	switch {
	case rec.Op == opDropped:
		return j.encode(rec)
	case nothing && j.size > emptyAt:
		if err := j.empty(); err != nil {
			return err
		}
	case j.size > compactAt:
		return j.rewrite()
	}
	if err := j.encode(rec); err != nil {
		return err
	}
	return j.flush()
}

// encode adds a record to what waits to be written.
func (j *Journal) encode(rec record) error {
	head, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding a journal record: %w", err)
	}
	start := len(j.buf)
	j.buf = append(append(append(j.buf, make([]byte, headBytes)...), head...), rec.result...)
	b := j.buf[start:]
	binary.LittleEndian.PutUint32(b, uint32(len(head)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(rec.result)))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[headBytes:], castagnoli))
	return nil
}

// flush writes what waits.
func (j *Journal) flush() error {
	n, err := j.file.WriteAt(j.buf, j.size)
	if err == nil && j.fsync {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.size += int64(n)
	j.buf = j.buf[:0]
	return nil
}

func (j *Journal) empty() error {
	j.size, j.buf = 0, j.buf[:0]
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("emptying the journal: %w", err)
	}
	return nil
}

// rewrite writes only what is still held. It is for a file that never runs empty, and for what was taken over; a crash in it
// can lose no more than answers to redeliveries, which then are worked on again.
func (j *Journal) rewrite() error {
	if err := j.empty(); err != nil {
		return err
	}
	for _, e := range j.entries {
		if err := j.encode(e.record); err != nil {
			return err
		}
	}
	return j.flush()
}
