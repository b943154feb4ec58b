package payload

import (
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadfile"
)

const (
	// megabyte is that of memory_mb, disk_mb and output_mb, as batch systems count them.
	megabyte = 1 << 20
	// diskShare bounds the time that looking at the folder takes, as a part of all time.
	diskShare = 100
	// idleShare is the part of a core that something which hangs may use without being taken for alive: it waits in a loop.
	idleShare = 100
	// idleReads is what it may read in that time: of timers, of events, of /proc.
	idleReads = 64 << 10
)

// Guard holds a slice to those limits of its spec that the keepers do not know: it is asked about once a second while the slice is
// worked on. A payload is looping when for some time it has done nothing at all: it used less than a hundredth of a core, read less
// than 64 KiB and wrote nothing, neither to files nor to its outputs nor as a sign of life. That is the payload's time, in which it
// could run: a job that is suspended is not looping.
type Guard struct {
	spec  payloadfile.Spec
	dir   string
	meter *keeper.Meter

	began    keeper.Usage // what the program had taken before the slice
	active   keeper.Usage // and when it did something last
	lookNext time.Time    // at the folder
}

// Guard begins with a slice in its folder. The meter is that of the program which works on it; of one that has worked on others before
// the lap has ended.
func (p Program) Guard(dir string, meter *keeper.Meter) *Guard {
	now := meter.Seen()
	return &Guard{spec: p.Spec, dir: dir, meter: meter, began: now, active: now}
}

// limitError says which limit is passed, with what was measured and what is allowed.
type limitError struct {
	failure exitcode.Failure
	text    string
}

func (e limitError) Error() string { return e.text }

func overLimit(format string, args ...any) error {
	return limitError{exitcode.PayloadLimit, fmt.Sprintf(format, args...)}
}

// Check returns the limit that is passed, nil for none. As an error of [Program.Stopped] it is the payload's failure.
func (g *Guard) Check() error {
	now, l := g.meter.Seen(), g.spec.Limits
	if used := now.CPU() - g.began.CPU(); l.CPU > 0 && used > l.CPU {
		return overLimit("out of CPU time: %s of %s", used.Round(10*time.Millisecond), l.CPU)
	}
	if l.OpenFiles > 0 {
		if n := g.meter.OpenFiles(); n > l.OpenFiles {
			return overLimit("too many open files: %d of %d", n, l.OpenFiles)
		}
	}
	if err := g.looping(now); err != nil {
		return err
	}
	return g.disk()
}

// looping notes when the program does something, and how long it has not.
func (g *Guard) looping(now keeper.Usage) error {
	limit := g.spec.Limits.Looping
	if limit == 0 {
		return nil
	}
	cpu, read := now.CPU()-g.active.CPU(), now.ReadBytes-g.active.ReadBytes
	if cpu > limit/idleShare || read > idleReads || now.WrittenBytes != g.active.WrittenBytes {
		g.active = now
		return nil
	}
	if idle := now.Ran - g.active.Ran; idle >= limit {
		return limitError{exitcode.PayloadLooping, fmt.Sprintf("it has done nothing for %s of its looping = %s: it used %s of CPU, read %d bytes and wrote none",
			idle.Round(time.Second), limit, cpu.Round(10*time.Millisecond), read)}
	}
	return nil
}

// disk looks at the slice's folder, unless that would take too much of the time.
func (g *Guard) disk() error {
	started := time.Now()
	if g.spec.DiskMB == 0 || started.Before(g.lookNext) {
		return nil
	}
	used := diskUsage(g.dir)
	g.lookNext = time.Now().Add(diskShare * time.Since(started))
	if used > int64(g.spec.DiskMB)*megabyte {
		return overLimit("out of disk: %s in its folder", ofLimit(used, g.spec.DiskMB))
	}
	return nil
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

// ofLimit is "2.1 of 2.0 GB", in MB when that says more; rounded up, so that what is over a limit reads so.
func ofLimit(bytes int64, limitMB int) string {
	mb := float64(bytes) / megabyte
	if limitMB < 1000 {
		return fmt.Sprintf("%.0f of %d MB", math.Ceil(mb), limitMB)
	}
	return fmt.Sprintf("%.1f of %.1f GB", math.Ceil(mb/100)/10, float64(limitMB)/1000)
}
