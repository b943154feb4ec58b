package payload

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
)

const (
	// megabyte is that of memory_mb and disk_mb, as batch systems count them.
	megabyte = 1 << 20
	// killedStatus is what a shell ends with when SIGKILL has ended its last command.
	killedStatus = 128 + int(syscall.SIGKILL)
	// diskShare bounds the time that looking at the folder takes, as a part of all time.
	diskShare = 100
)

// diskError says that the slice's folder is over its limit.
type diskError struct{ bytes int64 }

func (e diskError) Error() string { return fmt.Sprintf("%d bytes in the folder", e.bytes) }

// limits are those of the spec; memory is the keepers' own.
func (c *Command) limits(dir string) keeper.Limits {
	l := keeper.Limits{Time: c.spec.Timeout}
	if c.spec.DiskMB > 0 {
		var next time.Time
		l.Check = func() error {
			started := time.Now()
			if started.Before(next) {
				return nil
			}
			used := diskUsage(dir)
			next = time.Now().Add(diskShare * time.Since(started))
			if used > int64(c.spec.DiskMB)*megabyte {
				return diskError{used}
			}
			return nil
		}
	}
	return l
}

// diskUsage is what a folder takes on the disk: holes take nothing. What goes away meanwhile, or may not be looked at, is left out.
func diskUsage(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if info, err := d.Info(); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes += s.Blocks * 512
			}
		}
		return nil
	})
	return bytes
}

// stopped says why we ended the program: a limit of its own was passed, or the slot is taken back.
func (c *Command) stopped(why error, res keeper.Result) error {
	disk, overDisk := errors.AsType[diskError](why)
	switch {
	case errors.Is(why, keeper.ErrTime):
		return exitcode.New(exitcode.PayloadTimeout, "%s ran longer than its %s", c.spec.Name, c.spec.Timeout)
	case errors.Is(why, keeper.ErrMemory):
		return exitcode.New(exitcode.PayloadMemory, "%s: out of memory: %s", c.spec.Name, ofLimit(res.PeakBytes, c.spec.MemoryMB))
	case overDisk:
		return exitcode.New(exitcode.PayloadLimit, "%s: out of disk: %s in its folder", c.spec.Name, ofLimit(disk.bytes, c.spec.DiskMB))
	default:
		return exitcode.New(exitcode.Interrupted, "%s was ended: %w", c.spec.Name, why)
	}
}

// ofLimit is "2.1 of 2.0 GB", in MB when that says more.
func ofLimit(bytes int64, limitMB int) string {
	mb := float64(bytes) / megabyte
	if limitMB < 1000 {
		return fmt.Sprintf("%.0f of %d MB", mb, limitMB)
	}
	return fmt.Sprintf("%.1f of %.1f GB", mb/1000, float64(limitMB)/1000)
}

// verdict is the meaning of the program's end: nil for success. A program that did its work although the kernel killed a process
// of it did its work.
func (c *Command) verdict(res keeper.Result, stderr string) error {
	killed := res.Signal == syscall.SIGKILL.String() || res.ExitCode == killedStatus
	switch {
	case res.Stopped != nil:
		return c.stopped(res.Stopped, res)
	case res.Signal == "" && res.ExitCode == 0:
		return nil
	case res.OutOfMemory:
		return exitcode.New(exitcode.PayloadMemory, "%s: out of memory: %s: the kernel killed a process of it%s",
			c.spec.Name, ofLimit(max(res.PeakBytes, res.MaxRSSBytes), c.spec.MemoryMB), lastWords(stderr))
	case killed && res.SlotOutOfMemory:
		return c.slotOutOfMemory(res)
	case res.Signal == syscall.SIGKILL.String():
		return exitcode.New(exitcode.PayloadCrashed, "%s was ended by a signal, killed, which was not ours; the kernel reports no lack of memory%s",
			c.spec.Name, lastWords(stderr))
	case res.Signal != "":
		line, ok := c.spec.Failures.printed(stderr)
		if !ok {
			line = exitcode.PayloadCrashed
		}
		return exitcode.New(line, "%s was ended by a signal, %s%s", c.spec.Name, res.Signal, lastWords(stderr))
	case res.ExitCode == 2 && strings.Contains(stderr, "go-hep.org/x/hep/"):
		// The ROOT library panics on some damaged files in a goroutine of its own, which nobody can catch there.
		return exitcode.New(exitcode.DataCorrupt, "%s: the ROOT library could not read the input", c.spec.Name)
	}
	return exitcode.New(c.spec.Failures.meaning(res.ExitCode, stderr), "%s ended with status %d%s", c.spec.Name, res.ExitCode, lastWords(stderr))
}

// slotOutOfMemory says whose fault it is that the memory of the whole slot was over. A payload that names its need and has kept
// to it has done its part: the slot is too small for what runs in it, and the slice goes elsewhere uncounted. One that names
// none may be the one that took it all: that must count, or it would go on to take down one slot after the other.
func (c *Command) slotOutOfMemory(res keeper.Result) error {
	held := fmt.Sprintf("%.1f GB", float64(max(res.PeakBytes, res.MaxRSSBytes))/megabyte/1000)
	if c.spec.MemoryMB > 0 {
		return exitcode.New(exitcode.SlotMemory, "the slot is out of memory: the kernel killed %s, which was within its memory_mb = %d, at %s",
			c.spec.Name, c.spec.MemoryMB, held)
	}
	err := exitcode.New(exitcode.PayloadMemory, "%s: out of memory at %s: the slot's is over, and the kernel killed it", c.spec.Name, held)
	return exitcode.WithNext(err, "say in its TOML what it needs (memory_mb), ask for more memory in the queue, or mend the payload")
}
