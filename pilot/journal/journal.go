// Package journal is a pilot's memory on disk: which slices it holds and which results are not yet acknowledged, so that after
// a kill -9 the next pilot on the node answers redeliveries with the same bytes instead of working again.
//
// One folder per node, user and namespace, one file per pilot, held by a lock while the pilot lives. A new pilot takes over the
// files of its user whose lock is free. A torn tail is dropped. Writes reach the kernel, which survives the death of a process; fsync, for
// the death of the node, is an option. The file starts anew when nothing is held, so it stays small. One that has grown all the
// same, cannot be written or has vanished is left for a new one beside it, which has to hold everything before the old one goes:
// at no moment is there less on disk than was promised.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/pilot"
)

const (
	// emptyAt is the size at which a file of which nothing is held any more starts from its beginning.
	emptyAt = 256 << 10
	// compactAt is the size at which a file that never runs empty is written anew.
	compactAt = 16 << 20
)

// keepFor is how long results are kept for a redelivery that does not come: as long as a broker keeps a slice.
const keepFor = 24 * time.Hour

// Journal is one pilot's file and what it took over.
type Journal struct {
	dir   string
	fsync bool
	log   *slog.Logger

	mu   sync.Mutex
	file *os.File
	path string
	size int64  // of the file, as far as it is whole
	buf  []byte // records that wait to be written
	held entries
}

var _ pilot.Journal = (*Journal)(nil)

// Open makes a file in a folder and takes over the files of pilots that are gone, also of those in former folders: where earlier
// versions of the pilot had theirs.
func Open(dir string, fsync bool, log *slog.Logger, former ...string) (*Journal, error) {
	f, path, err := create(dir)
	if err != nil {
		return nil, exitcode.WithNext(exitcode.Wrap(exitcode.SiteNoSpace, err), "free the disk, or name another folder by --journal-dir")
	}
	j := &Journal{dir: dir, fsync: fsync, log: log, file: f, path: path, held: entries{}}
	if err := j.adopt(dir); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	for _, dir := range former {
		if !j.ourFolder(dir) {
			continue
		}
		if err := j.adopt(dir); err != nil {
			log.Warn("a former journal stays where it is", logging.Err(err))
		}
	}
	return j, nil
}

// adopt reads the files in a folder that no living pilot holds into ours and removes them.
func (j *Journal) adopt(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "listing journals: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if path == j.path || filepath.Ext(path) != extension {
			continue
		}
		f, err := openLocked(path, syscall.O_NOFOLLOW)
		if err != nil {
			continue // its pilot lives, or it is gone already
		}
		if !j.sameOwner(f) {
			_ = f.Close()
			j.log.Warn("a journal of another user is left alone", slog.String("file", path))
			continue
		}
		results, err := j.takeOver(f)
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

// ourFolder says that a folder is there, and of whoever our file is of. What is only a link to one is none.
func (j *Journal) ourFolder(dir string) bool {
	f, err := os.OpenFile(dir, syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return j.sameOwner(f)
}

// sameOwner says that a file is of whoever ours is of, as the file system has it: the folder may be one into which others can write,
// and a result in a file of theirs would be published as that of a slice.
func (j *Journal) sameOwner(f *os.File) bool {
	var ours, theirs syscall.Stat_t
	err := errors.Join(syscall.Fstat(int(j.file.Fd()), &ours), syscall.Fstat(int(f.Fd()), &theirs))
	return err == nil && ours.Uid == theirs.Uid
}

// takeOver has the results of another file in ours when it returns.
func (j *Journal) takeOver(f *os.File) (results int, err error) {
	found := entries{}
	if err := read(f, found); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for e := range found.all() {
		if !e.ended() || e.old() || j.held.find(e.key(), e.Attempt) != nil {
			continue
		}
		if j.buf, err = e.appendTo(j.buf); err != nil {
			return results, err
		}
		e.adopted = true
		j.held.put(e)
		results++
	}
	return results, j.flush()
}

// Received notes a slice in hand.
func (j *Journal) Received(k pilot.JournalKey) error {
	return j.write(record{Op: opReceived, Run: k.Run, Identity: k.Identity, Attempt: k.Attempt})
}

// Outcome notes a result before it is sent.
func (j *Journal) Outcome(k pilot.JournalKey, done bool, result []byte) error {
	return j.write(record{Op: opOutcome, Run: k.Run, Identity: k.Identity, Attempt: k.Attempt, Done: done, result: result})
}

// Drop forgets an attempt of a slice. It is on disk with the next record: what a crash in between costs is an answer kept for
// nobody.
func (j *Journal) Drop(k pilot.JournalKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec := record{Op: opDropped, Run: k.Run, Identity: k.Identity, Attempt: k.Attempt, At: time.Now().Unix()}
	if b, err := rec.appendTo(j.buf); err == nil {
		j.buf = b
	}
	j.held.apply(rec)
}

// Find returns the result of a slice: a done one answers this and every later attempt, a failed one its own.
func (j *Journal) Find(k pilot.JournalKey) (result []byte, done, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.held.answer(k); e != nil {
		return e.result, e.Done, true
	}
	return nil, false, false
}

// Published notes that the broker has the result that answers an attempt. It stays for redeliveries until the slice is
// acknowledged.
func (j *Journal) Published(k pilot.JournalKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.held.answer(k); e != nil {
		e.published = true
	}
}

// Held is how many results of this pilot the broker does not have.
func (j *Journal) Held() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for e := range j.held.all() {
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
	if len(j.held) > 0 {
		err = j.flush()
	} else if rerr := os.Remove(j.path); !errors.Is(rerr, os.ErrNotExist) {
		err = rerr
	}
	return errors.Join(err, j.file.Close())
}

// write notes a record. When it fails nothing was noted.
func (j *Journal) write(rec record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec.At = time.Now().Unix()
	waiting := len(j.buf)
	b, err := rec.appendTo(j.buf)
	if err != nil {
		return err
	}
	j.buf = b
	switch {
	case len(j.held) == 0 && j.size > emptyAt:
		if err = j.file.Truncate(0); err == nil {
			j.size, j.buf, waiting = 0, slices.Delete(j.buf, 0, waiting), 0
			err = j.flush()
		}
	case j.size > compactAt:
		err = errGrown
	default:
		err = j.flush()
	}
	if err != nil {
		if nerr := j.renew(rec); nerr != nil {
			j.buf = j.buf[:waiting]
			return fmt.Errorf("writing the journal %s: %w", j.path, errors.Join(err, nerr))
		}
	}
	j.held.apply(rec)
	return nil
}

// What is wrong with a file that could be written.
var (
	errGrown    = errors.New("grown too large")
	errVanished = errors.New("removed by somebody")
)

// flush writes what waits. What a failed write has left is no record, and the next one overwrites it.
func (j *Journal) flush() error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(j.file.Fd()), &stat); err == nil && stat.Nlink == 0 {
		return errVanished // nobody would find it after us
	}
	n, err := j.file.WriteAt(j.buf, j.size)
	if err == nil && j.fsync {
		err = j.file.Sync()
	}
	if err != nil {
		_ = j.file.Truncate(j.size)
		return err
	}
	j.size += int64(n)
	j.buf = j.buf[:0]
	return nil
}

// renew goes on in a new file with what is held and one record more.
func (j *Journal) renew(more record) error {
	f, path, err := create(j.dir)
	if err != nil {
		return err
	}
	j.held.expire()
	var b []byte
	for e := range j.held.all() {
		if b, err = e.appendTo(b); err != nil {
			break
		}
	}
	if err == nil {
		b, err = more.appendTo(b)
	}
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil && j.fsync {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	_ = os.Remove(j.path) // one that stays answers for slices that are not delivered again
	_ = j.file.Close()
	j.file, j.path, j.size, j.buf = f, path, int64(len(b)), j.buf[:0]
	return nil
}
