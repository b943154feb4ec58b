package payloadfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Synthetic is the script of the fake.
type Synthetic struct {
	// Mode is one of SyntheticModes.
	Mode string `toml:"mode"`
	// Duration of sleep and burn.
	Duration time.Duration `toml:"-"`
	// SizeMB of what grow takes and print prints.
	SizeMB int `toml:"size_mb"`
	// Permanent makes fail a permanent failure.
	Permanent bool `toml:"permanent"`
}

// SyntheticModes are what the fake can do.
func SyntheticModes() []string {
	return []string{"noop", "sleep", "burn", "grow", "print", "crash", "hang", "fail"}
}

// maxSizeMB keeps a slip of the finger from taking the machine down.
const maxSizeMB = 1 << 20

// validate names every contradiction; kind is the spec's.
func (s Synthetic) validate(kind Kind) error {
	if kind != KindSynthetic {
		if s != (Synthetic{}) {
			return fmt.Errorf("[synthetic] is for kind synthetic, not for %s", kind)
		}
		return nil
	}
	var errs []error
	if modes := SyntheticModes(); !slices.Contains(modes, s.Mode) {
		errs = append(errs, fmt.Errorf("synthetic.mode %q is none of %s", s.Mode, strings.Join(modes, ", ")))
	}
	if s.SizeMB < 0 || s.SizeMB > maxSizeMB {
		errs = append(errs, fmt.Errorf("synthetic.size_mb = %d: must be 0 to %d", s.SizeMB, maxSizeMB))
	}
	return errors.Join(errs...)
}
