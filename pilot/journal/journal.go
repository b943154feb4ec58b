// Package journal is a pilot's memory on disk: which slices it holds and which results are not yet acknowledged, so that after
// a kill -9 the next pilot on the node answers redeliveries with the same bytes instead of working again.
//
// One folder per node and namespace, one file per pilot, held by a lock while the pilot lives. A new pilot takes over the
// files whose lock is free. A record is a length, a CRC-32C and JSON; a torn tail is dropped. Writes reach the kernel, which
// survives the death of a process; fsync, for the death of the node, is an option. When nothing is left the file is emptied,
// so it stays as small as what is in hand.
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

	"tfpilot/internal/exitcode"
	"tfpilot/pilot"
)

// compactAt is the size at which a file that never runs empty is written anew.
const compactAt = 16 << 20

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
	Attempt int
	Ended   bool
	Done    bool
	Result  json.RawMessage
}

// record is one line of the file.
type record struct {
	// Op is r (received), o (outcome) or d (dropped).
	Op       string          `json:"op"`
	Run      string          `json:"run"`
	Identity string          `json:"identity"`
	Attempt  int             `json:"attempt"`
	Done     bool            `json:"done,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
}

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
		for k, e := range found {
			if e.Ended && j.entries[k] == nil {
				j.entries[k] = e
			}
		}
		err = j.rewrite()
		if err == nil {
			err = os.Remove(path)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return exitcode.New(exitcode.SiteNoSpace, "taking over the journal %s: %w", path, err)
		}
		j.log.Info("took over a journal", slog.String("file", filepath.Base(path)), slog.Int("results", len(found)))
	}
	return nil
}

// read applies the records of a file until its end, or where it is torn.
func read(r io.Reader, into map[key]*entry) {
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		n := binary.LittleEndian.Uint32(head[:4])
		if n > maxRecord {
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return
		}
		var rec record
		if json.Unmarshal(body, &rec) != nil {
			return
		}
		apply(into, rec)
	}
}

func apply(into map[key]*entry, rec record) {
	k := key{rec.Run, rec.Identity}
	switch rec.Op {
	case "r":
		into[k] = &entry{Attempt: rec.Attempt}
	case "o":
		into[k] = &entry{Attempt: rec.Attempt, Ended: true, Done: rec.Done, Result: rec.Result}
	case "d":
		delete(into, k)
	}
}

// Received notes a slice in hand.
func (j *Journal) Received(k pilot.JournalKey) error {
	return j.write(record{Op: "r", Run: k.Run, Identity: k.Identity, Attempt: k.Attempt})
}

// Outcome notes a result before it is sent.
func (j *Journal) Outcome(k pilot.JournalKey, done bool, result []byte) error {
	return j.write(record{Op: "o", Run: k.Run, Identity: k.Identity, Attempt: k.Attempt, Done: done, Result: result})
}

// Drop forgets a slice.
func (j *Journal) Drop(k pilot.JournalKey) error {
	return j.write(record{Op: "d", Run: k.Run, Identity: k.Identity, Attempt: k.Attempt})
}

// Find returns the result of a slice: a done one answers this and every later attempt, a failed one its own.
func (j *Journal) Find(k pilot.JournalKey) (result []byte, done, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entries[key{k.Run, k.Identity}]
	if e == nil || !e.Ended || (!e.Done && e.Attempt != k.Attempt) || e.Attempt > k.Attempt {
		return nil, false, false
	}
	return e.Result, e.Done, true
}

// Held is how many results are waiting to be acknowledged.
func (j *Journal) Held() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.entries {
		if e.Ended {
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
	}
	return errors.Join(err, j.file.Close())
}

func (j *Journal) write(rec record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	apply(j.entries, rec)
	if len(j.entries) == 0 {
		return j.empty()
	}
	if j.size > compactAt {
		return j.rewrite()
	}
	return j.append(rec)
}

func (j *Journal) append(rec record) error {
	body, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding a journal record: %w", err)
	}
	j.buf = binary.LittleEndian.AppendUint32(j.buf[:0], uint32(len(body)))
	j.buf = binary.LittleEndian.AppendUint32(j.buf, crc32.Checksum(body, castagnoli))
	j.buf = append(j.buf, body...)
	n, err := j.file.WriteAt(j.buf, j.size)
	if err == nil && j.fsync {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.size += int64(n)
	return nil
}

func (j *Journal) empty() error {
	j.size = 0
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
	for k, e := range j.entries {
		rec := record{Op: "r", Run: k.run, Identity: k.identity, Attempt: e.Attempt}
		if e.Ended {
			rec.Op, rec.Done, rec.Result = "o", e.Done, e.Result
		}
		if err := j.append(rec); err != nil {
			return err
		}
	}
	return nil
}
