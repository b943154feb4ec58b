package payloadlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// Log is one stream of a payload's log on disk.
type Log struct {
	Path string `json:"path"`
	// Run, Slice, Attempt, Slot and Stream (out or err) are in its name; in it, characters that a file name had better not have
	// are replaced.
	Run     string `json:"run"`
	Slice   string `json:"slice"`
	Attempt int    `json:"attempt"`
	Slot    int    `json:"slot"`
	Stream  string `json:"stream"`
	// Complete is false while a payload prints to it, and for ever when its pilot was killed.
	Complete  bool      `json:"complete"`
	SizeBytes int64     `json:"size_bytes"`
	At        time.Time `json:"at"`
}

// List is the logs in a folder, the oldest first. A folder that is not there has none.
func List(dir string) ([]Log, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "looking for logs: %w", err)
	}
	var logs []Log
	for _, e := range entries {
		info, err := e.Info()
		l, ok := parse(e.Name())
		if err != nil || !ok || !info.Mode().IsRegular() {
			continue
		}
		l.Path, l.SizeBytes, l.At = filepath.Join(dir, e.Name()), info.Size(), info.ModTime().UTC()
		logs = append(logs, l)
	}
	slices.SortFunc(logs, func(a, b Log) int { return a.At.Compare(b.At) })
	return logs, nil
}

// At is the log in a file; ok is false for a file that is none.
func At(path string) (l Log, ok bool) {
	l, ok = parse(filepath.Base(path))
	l.Path = path
	return l, ok
}

// parse takes a name apart: RUN.IDENTITY.aATTEMPT.slotSLOT.STREAM, perhaps a number that keeps it apart, perhaps .zst.
func parse(name string) (l Log, ok bool) {
	name, l.Complete = strings.CutSuffix(name, compressed)
	f := strings.Split(name, ".")
	if len(f) != 5 && len(f) != 6 || !strings.HasPrefix(f[2], "a") || !strings.HasPrefix(f[3], "slot") || f[4] != "out" && f[4] != "err" {
		return Log{}, false
	}
	var errs [2]error
	l.Run, l.Slice, l.Stream = f[0], f[1], f[4]
	l.Attempt, errs[0] = strconv.Atoi(f[2][1:])
	l.Slot, errs[1] = strconv.Atoi(f[3][len("slot"):])
	return l, errors.Join(errs[:]...) == nil
}

// IsOf holds for the logs of a slice, whatever the attempt.
func (l Log) IsOf(s message.Slice) bool {
	run, identity := nameParts(s)
	return l.Run == run && l.Slice == identity
}

// CopyTo writes what the payload printed. Of a log that is not complete, what was dropped is left out.
func (l Log) CopyTo(w io.Writer) error {
	f, err := os.Open(l.Path)
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "reading a log: %w", err)
	}
	defer func() { _ = f.Close() }()
	if !l.Complete {
		_, err := io.Copy(w, withoutHoles{f})
		return err
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	if _, err := io.Copy(w, z); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "reading %s: %w", l.Path, err)
	}
	return nil
}

// withoutHoles leaves out what the file system gave back: it reads as zeros, of which no log should have many.
type withoutHoles struct{ io.Reader }

func (r withoutHoles) Read(p []byte) (int, error) {
	for {
		n, err := r.Reader.Read(p)
		kept := slices.DeleteFunc(p[:n], func(b byte) bool { return b == 0 })
		if len(kept) > 0 || err != nil {
			return len(kept), err
		}
	}
}
