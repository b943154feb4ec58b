package payloadfile

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Resident is how a payload of kind resident is kept: the table [resident].
type Resident struct {
	// StartupTimeout is how long it may take to become ready (default 2m).
	StartupTimeout time.Duration `toml:"-"`
	// Keepalive is how long it may say nothing while it works on a slice; 0 is as long as the slice may take.
	Keepalive time.Duration `toml:"-"`
	// RecycleSlices and RecycleMB have a fresh process take over after so many slices, or when this one holds so many MiB between
	// two slices; 0 is never.
	RecycleSlices int `toml:"recycle_slices"`
	RecycleMB     int `toml:"recycle_mb"`
}

const defaultStartupTimeout = 2 * time.Minute

// residentFile is the table as it stands in TOML.
type residentFile struct {
	Resident
	StartupTimeout duration `toml:"startup_timeout"`
	Keepalive      duration `toml:"keepalive"`
}

func (f residentFile) spec() Resident {
	r := f.Resident
	r.StartupTimeout, r.Keepalive = f.StartupTimeout.value, f.Keepalive.value
	return r
}

// validateResident names what a payload that stays cannot be told.
func (s Spec) validateResident() error {
	r := s.Resident
	if s.Kind != KindResident {
		if r != (Resident{}) {
			return fmt.Errorf("[resident] is for kind resident, not for %s", s.Kind)
		}
		return nil
	}
	var errs []error
	if len(s.Command) == 0 || s.Command[0] == "" {
		errs = append(errs, errors.New("kind resident needs command = [\"program\", ...]"))
	}
	for i, arg := range s.Command {
		if err := s.checkPlaceholders(arg); err != nil {
			errs = append(errs, fmt.Errorf("command: %w", err))
		}
		if i == 0 && strings.Contains(arg, placeholder) {
			errs = append(errs, fmt.Errorf("command: the program %q cannot be a variable", arg))
		}
	}
	errs = append(errs,
		checkNumber("resident.recycle_slices", r.RecycleSlices), checkNumber("resident.recycle_mb", r.RecycleMB),
		checkTime("resident.startup_timeout", r.StartupTimeout), checkTime("resident.keepalive", r.Keepalive))
	if s.MemoryMB > 0 && r.RecycleMB >= s.MemoryMB {
		errs = append(errs, fmt.Errorf("resident.recycle_mb = %d is never reached: memory_mb = %d ends the payload before", r.RecycleMB, s.MemoryMB))
	}
	return errors.Join(errs...)
}
