package harvester

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// wordsLimit bounds what is read of a worker's standard output: the last words are one line.
const wordsLimit = 64 << 10

// lastWords reads what a pilot reported at its end from its folder; nil when it did not, or did not yet.
func lastWords(jobs, id string) *document.WorkerReport {
	text, err := tail(filepath.Join(jobs, id, StdoutFile), wordsLimit)
	if err != nil {
		return nil
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var r document.WorkerReport
	if json.Unmarshal(lines[len(lines)-1], &r) != nil || r.Exit == nil {
		return nil // whatever it printed, it is no report
	}
	return &r
}

// LogTail is the end of a worker's log, from its folder.
func LogTail(jobs, id string, limit int64) (string, error) {
	text, err := tail(filepath.Join(jobs, id, StderrFile), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return "", exitcode.New(exitcode.StoreFailed, "worker %s has left no log: %w", id, err)
	}
	return string(text), exitcode.Wrap(exitcode.StoreFailed, err)
}

// tail reads whole lines from the end of a file.
func tail(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	skip := max(0, info.Size()-limit)
	text := make([]byte, info.Size()-skip)
	n, err := f.ReadAt(text, skip)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text = text[:n]
	if skip > 0 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text, nil
}
