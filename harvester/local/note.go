package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"tfpilot/internal/exitcode"
)

// note is how a pilot that a former harvester started is recognised: a process id alone may be somebody else's by now.
type note struct {
	PID       int       `json:"pid"`
	Start     uint64    `json:"start_ticks"`
	StartedAt time.Time `json:"started_at"`
}

const noteFile = "process.json"

// write leaves the note in a job's folder.
func (n note) write(dir string) error {
	b, err := json.Marshal(n)
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, noteFile), b, 0o600)
	}
	if err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "noting the job: %w", err)
	}
	return nil
}

// readNote reads that of a job; os.ErrNotExist for a job that is not known.
func readNote(jobs, id string) (note, error) {
	var n note
	if !filepath.IsLocal(id) {
		return n, os.ErrNotExist
	}
	b, err := os.ReadFile(filepath.Join(jobs, id, noteFile))
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(b, &n); err != nil {
		return n, fmt.Errorf("decoding the note of job %s: %w", id, err)
	}
	return n, nil
}

// living are the notes of all jobs in a folder whose process lives. One that cannot be read is left to whoever asks for it.
func living(jobs string) (map[string]note, error) {
	entries, err := os.ReadDir(jobs)
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "looking for jobs: %w", err)
	}
	out := map[string]note{}
	for _, e := range entries {
		if n, err := readNote(jobs, e.Name()); err == nil && n.alive() {
			out[e.Name()] = n
		}
	}
	return out, nil
}

// alive reports whether the process is the one that was started.
func (n note) alive() bool {
	start, err := startTicks(n.PID)
	return err == nil && n.Start != 0 && start == n.Start
}

// signal reaches what is in the pilot's process group, which is its own. Its payloads have groups of their own: a pilot ends
// them itself, and they die with it.
func (n note) signal(sig syscall.Signal) {
	_ = syscall.Kill(-n.PID, sig) // gone in this moment: as wished
}

// end sends SIGTERM, after the grace SIGKILL, and returns when the process is gone. One that cannot die (in the kernel) is
// given up after another grace.
func (n note) end(grace time.Duration) {
	if !n.alive() {
		return
	}
	n.signal(syscall.SIGTERM)
	limit, look := time.NewTimer(grace), time.NewTicker(10*time.Millisecond)
	defer limit.Stop()
	defer look.Stop()
	for killed := false; n.alive(); {
		select {
		case <-look.C:
		case <-limit.C:
			if killed {
				return
			}
			killed = true
			n.signal(syscall.SIGKILL)
			limit.Reset(grace)
		}
	}
	n.signal(syscall.SIGKILL) // what it may have left in its group
}

// startTicks is when a process started, in ticks since boot: field 22 of /proc/PID/stat (proc(5)).
func startTicks(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name in field 2 may hold anything, but nothing after its closing bracket does.
	_, rest, ok := strings.Cut(string(b), ") ")
	for strings.Contains(rest, ") ") {
		_, rest, ok = strings.Cut(rest, ") ")
	}
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" {
		return 0, os.ErrNotExist
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
