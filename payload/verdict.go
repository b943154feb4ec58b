package payload

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
)

const (
	// killedStatus is what a shell ends with when SIGKILL has ended its last command.
	killedStatus = 128 + int(syscall.SIGKILL)
	// notFoundStatus is what a program ends with that was not begun, because the loader did not find all of it.
	notFoundStatus = 127
)

// Stopped says what it means that we ended the program of a slice: a limit of its own was passed, or the slot is taken back. peak
// is the most memory that it held.
func (p Program) Stopped(why error, peak int64) error {
	limit, passed := errors.AsType[limitError](why)
	switch {
	case errors.Is(why, keeper.ErrTime):
		return exitcode.New(exitcode.PayloadTimeout, "%s ran longer than its %s", p.Name, p.Timeout)
	case errors.Is(why, keeper.ErrMemory):
		return exitcode.New(exitcode.PayloadMemory, "%s: out of memory: %s", p.Name, ofLimit(peak, p.MemoryMB))
	case passed:
		return exitcode.New(limit.failure, "%s: %w", p.Name, limit)
	default:
		return exitcode.New(exitcode.Interrupted, "%s was ended: %w", p.Name, why)
	}
}

// Verdict is the meaning of the program's end: nil for success. stderr is what it printed. A program that did its work although the
// kernel killed a process of it did its work.
func (p Program) Verdict(res keeper.Result, stderr string) error {
	killed := res.Signal == syscall.SIGKILL.String() || res.ExitCode == killedStatus
	switch {
	case res.Stopped != nil:
		return p.Stopped(res.Stopped, res.PeakBytes)
	case res.Signal == "" && res.ExitCode == 0:
		return nil
	case res.OutOfMemory:
		return exitcode.New(exitcode.PayloadMemory, "%s: out of memory: %s: the kernel killed a process of it%s",
			p.Name, ofLimit(max(res.PeakBytes, res.MaxRSSBytes), p.MemoryMB), LastWords(stderr))
	case killed && res.SlotOutOfMemory:
		return p.slotOutOfMemory(res)
	case res.Signal == syscall.SIGKILL.String():
		return exitcode.New(exitcode.PayloadCrashed, "%s was ended by a signal, killed, which was not ours; the kernel reports no lack of memory%s",
			p.Name, LastWords(stderr))
	case res.Signal != "":
		line, ok := p.Failures.Printed(stderr)
		if !ok {
			line = exitcode.PayloadCrashed
		}
		return exitcode.New(line, "%s was ended by a signal, %s%s", p.Name, res.Signal, LastWords(stderr))
	case res.ExitCode == notFoundStatus && lacksLibrary(stderr):
		return exitcode.New(exitcode.SiteNoProgram, "%s: its program lacks a library on this node%s", p.Name, LastWords(stderr))
	case res.ExitCode == 2 && strings.Contains(stderr, "go-hep.org/x/hep/"):
		// The ROOT library panics on some damaged files in a goroutine of its own, which nobody can catch there.
		return exitcode.New(exitcode.DataCorrupt, "%s: the ROOT library could not read the input", p.Name)
	}
	return exitcode.New(p.Failures.Meaning(res.ExitCode, stderr), "%s ended with status %d%s", p.Name, res.ExitCode, LastWords(stderr))
}

// StatusError is the failure that a payload says of a slice by an exit status, with its last words.
func (p Program) StatusError(status int, words string) error {
	return exitcode.New(p.Failures.Meaning(status, words), "%s said status %d%s", p.Name, status, LastWords(words))
}

// lacksLibrary holds for the last words of the loaders of glibc and musl, which speak before a program has begun.
func lacksLibrary(stderr string) bool {
	words := LastWords(stderr)
	return strings.Contains(words, "error while loading shared libraries: ") || strings.Contains(words, "Error loading shared library ")
}

// slotOutOfMemory says whose fault it is that the memory of the whole slot was over. A payload that names its need and has kept
// to it has done its part: the slot is too small for what runs in it, and the slice goes elsewhere uncounted. One that names
// none may be the one that took it all: that must count, or it would go on to take down one slot after the other.
func (p Program) slotOutOfMemory(res keeper.Result) error {
	held := fmt.Sprintf("%.1f GB", float64(max(res.PeakBytes, res.MaxRSSBytes))/megabyte/1000)
	if p.MemoryMB > 0 {
		return exitcode.New(exitcode.SlotMemory, "the slot is out of memory: the kernel killed %s, which was within its memory_mb = %d, at %s",
			p.Name, p.MemoryMB, held)
	}
	err := exitcode.New(exitcode.PayloadMemory, "%s: out of memory at %s: the slot's is over, and the kernel killed it", p.Name, held)
	return exitcode.WithNext(err, "say in its TOML what it needs (memory_mb), ask for more memory in the queue, or mend the payload")
}
