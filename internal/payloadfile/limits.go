package payloadfile

import (
	"errors"
	"fmt"
	"time"
)

// Limits are what a slice may take beside its time, its memory and its disk. Zero is no limit.
type Limits struct {
	// CPU is the time of processors that all its processes may use together.
	CPU time.Duration `toml:"-"`
	// Looping is how long it may do nothing at all, as package payload measures it.
	Looping time.Duration `toml:"-"`
	// OpenFiles is how many files all its processes may have open together.
	OpenFiles int `toml:"open_files"`
	// OutputMB is the size that its output files may have together, in MiB.
	OutputMB int `toml:"output_mb"`
}

// leastLooping is more than the time between two looks, which a busy machine stretches.
const leastLooping = 2 * time.Second

// fileLimits are Limits as they stand in TOML.
type fileLimits struct {
	Limits
	CPU     duration `toml:"cpu"`
	Looping duration `toml:"looping"`
}

func (f fileLimits) limits() Limits {
	l := f.Limits
	l.CPU, l.Looping = f.CPU.value, f.Looping.value
	return l
}

// validate names every contradiction; timeout is that of the spec. An error begins with its key.
func (l Limits) validate(timeout time.Duration) error {
	var errs []error
	at := func(key, format string, args ...any) {
		errs = append(errs, keyError{"limits." + key, fmt.Errorf(format, args...)})
	}
	if l.CPU < 0 || (l.CPU > 0 && l.CPU < shortest) {
		at("cpu", "%s: must be at least %s", l.CPU, shortest)
	}
	switch {
	case l.Looping != 0 && l.Looping < leastLooping:
		at("looping", "%s: must be at least %s", l.Looping, leastLooping)
	case l.Looping > 0 && timeout > 0 && l.Looping >= timeout:
		at("looping", "%s: timeout = %s ends the payload before", l.Looping, timeout)
	}
	for _, c := range []struct {
		key string
		n   int
	}{{"open_files", l.OpenFiles}, {"output_mb", l.OutputMB}} {
		if c.n < 0 || c.n > mostOfAnything {
			at(c.key, "%d: must be 1 to %d, or left out", c.n, mostOfAnything)
		}
	}
	return errors.Join(errs...)
}
