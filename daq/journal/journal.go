// Package journal is daq's memory of runs on disk: a state folder with a file for each run, of a line of JSON per event.
//
// It survives kill -9; power loss can cost its tail, which then happens again under the same identities. A torn last line is dropped,
// damage before it is an error. A folder belongs to one daq at a time, and knows which run is to be gone on with.
package journal

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"tfpilot/daq"
	"tfpilot/internal/exitcode"
)

// firstRun is the number of the first run of an empty state folder.
const firstRun = 100001

// Journal is the file of one run, and the lock on its folder.
type Journal struct {
	path    string
	lock    *os.File
	mu      sync.Mutex
	file    *os.File
	size    int64        // as far as it is whole
	records []daq.Record // what was there when it was opened
	run     string
}

var _ daq.Journal = (*Journal)(nil)

// Open opens the journal of a run in the state folder and locks the folder. Without a run it is the unfinished run
// of the folder or, when there is none, the next.
func Open(dir, run string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "making the state folder: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{lock: lock, run: run}
	if err := j.open(dir); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return j, nil
}

// Run is the run that the journal is of.
func (j *Journal) Run() string { return j.run }

// Records are what was there when the journal was opened.
func (j *Journal) Records() []daq.Record { return j.records }

// Append writes a record, and returns when the operating system has it. On a full disk nothing is left of it: the rest of a line
// with another one behind it would be damage.
func (j *Journal) Append(r daq.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the journal %s: %w", j.path, errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(n)
	return nil
}

// Close lets go of the state folder.
func (j *Journal) Close() error {
	return errors.Join(j.file.Close(), j.lock.Close())
}

func (j *Journal) open(dir string) error {
	if j.run == "" {
		var err error
		if j.run, err = chooseRun(dir); err != nil {
			return err
		}
	}
	j.path = pathOf(dir, j.run)
	records, length, err := read(j.path)
	if err != nil {
		return err
	}
	if j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return exitcode.New(exitcode.StoreFailed, "opening the journal: %w", err)
	}
	if err := j.file.Truncate(length); err != nil {
		return exitcode.New(exitcode.StoreFailed, "dropping the torn tail of the journal: %w", err)
	}
	j.records, j.size = records, length
	return nil
}

func pathOf(dir, run string) string { return filepath.Join(dir, nameOf(run)) }

func nameOf(run string) string { return "run-" + run + ".journal" }

// lockFolder keeps a second daq out for as long as the file is open.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "locking the state folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.Read(holder)
		_ = f.Close()
		return nil, exitcode.New(exitcode.StateLocked, "state folder %s is held by the daq with process id %s", dir, bytes.TrimSpace(holder[:n]))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
	return f, nil
}

// chooseRun is the unfinished run with the highest number, or the number after the highest.
func chooseRun(dir string) (string, error) {
	files, err := fs.Glob(os.DirFS(dir), nameOf("*"))
	if err != nil {
		return "", exitcode.New(exitcode.StoreFailed, "reading the state folder: %w", err)
	}
	runs := make([]string, len(files))
	for i, file := range files {
		runs[i] = strings.TrimSuffix(strings.TrimPrefix(file, "run-"), ".journal")
	}
	number := func(run string) int {
		n, err := strconv.ParseUint(run, 10, 48) // a date with its time has 14 digits
		if err != nil {
			return 0 // a name
		}
		return int(n)
	}
	slices.SortFunc(runs, func(a, b string) int { return cmp.Or(cmp.Compare(number(b), number(a)), strings.Compare(b, a)) })
	next := firstRun
	for _, run := range runs {
		records, _, err := read(pathOf(dir, run))
		if err != nil {
			return "", err
		}
		if !isOver(records) {
			return run, nil
		}
		next = max(next, number(run)+1)
	}
	return strconv.Itoa(next), nil
}

// isOver reports whether nothing is left to publish in a run.
func isOver(records []daq.Record) bool {
	for _, r := range records {
		if r.Ended != nil {
			return true
		}
	}
	return false
}

// read returns the whole lines and where they end. Only the last line can be torn; a bad one before it is damage that
// nobody should guess about.
func read(path string) (records []daq.Record, length int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, exitcode.New(exitcode.StoreFailed, "opening the journal: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	in := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // also behind a line that is torn
			return records, length, nil
		}
		if err != nil {
			return nil, 0, exitcode.New(exitcode.StoreFailed, "reading the journal: %w", err)
		}
		var r daq.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, 0, exitcode.New(exitcode.StoreFailed, "%s:%d is damaged; move the file away and choose another --run: %w", path, n, err)
		}
		records = append(records, r)
		length += int64(len(line))
	}
}
