package payloadlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// None is the folder of who wants no logs.
const None = "none"

// orphaned is the age of a log that nobody writes any more: its pilot was killed.
const orphaned = 24 * time.Hour

// Folder holds the logs of payloads.
type Folder struct {
	// Dir is made when something is printed; None for no logs.
	Dir string
	// SizeBytes bounds one log, half of it for its head and half for its tail; TotalBytes all of them.
	SizeBytes, TotalBytes int64
	// All keeps those of slices that are done too.
	All bool
}

// DefaultDir is where the logs of payloads go when nothing is said: beside the slices' folders, one for each user.
func DefaultDir(workDir string) string {
	if workDir == "" {
		workDir = os.TempDir()
	}
	return filepath.Join(workDir, fmt.Sprintf("tfpilot-logs-%d", os.Getuid()))
}

// Open begins the log of a slice in a slot. Nothing is made before something is printed.
func (f Folder) Open(slot int, s message.Slice) *Streams {
	run, identity := nameParts(s)
	l := &Streams{folder: f}
	for i, stream := range []string{"out", "err"} {
		l.streams[i] = f.stream(fmt.Sprintf("%s.%s.a%d.slot%02d.%s", run, identity, s.Content.AttemptNumber(), slot, stream))
	}
	return l
}

// Between begins the log of what a payload that stays in a slot prints while there is no slice, neither of a run nor an attempt.
func (f Folder) Between(slot int) *Streams {
	l := &Streams{folder: f}
	for i, stream := range []string{"out", "err"} {
		l.streams[i] = f.stream(fmt.Sprintf("-.between-slices.a0.slot%02d.%s", slot, stream))
	}
	return l
}

func (f Folder) stream(name string) *file {
	return &file{path: filepath.Join(f.Dir, name), head: f.SizeBytes / 2 / block * block, tail: f.SizeBytes / 2}
}

// prune removes the oldest logs until the others are within the bound. Those that are being written stay.
func (f Folder) prune() error {
	type log struct {
		path    string
		size    int64
		written time.Time
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "looking at the logs: %w", err)
	}
	var logs []log
	var sum int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !isOurs(e.Name()) {
			continue
		}
		size := info.Size()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			size = max(s.Blocks*512, 1)
		}
		sum += size
		if strings.HasSuffix(e.Name(), compressed) || time.Since(info.ModTime()) > orphaned {
			logs = append(logs, log{filepath.Join(f.Dir, e.Name()), size, info.ModTime()})
		}
	}
	slices.SortFunc(logs, func(a, b log) int { return a.written.Compare(b.written) })
	for _, l := range logs {
		if sum <= f.TotalBytes {
			break
		}
		if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return exitcode.New(exitcode.SiteNoSpace, "removing an old log: %w", err)
		}
		sum -= l.size
	}
	return nil
}
