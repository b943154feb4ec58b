package payloadfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Bounds of what a Spec may say.
const (
	// shortest keeps a unit that was meant to be another from failing every slice.
	shortest = time.Millisecond
	// mostOfAnything is beyond any machine: it would be a number of bytes.
	mostOfAnything = 1_000_000_000
)

// Validate names every contradiction.
func (s Spec) Validate() error {
	var errs []error
	if s.Name == "" || strings.ContainsAny(s.Name, "/\n") {
		errs = append(errs, errors.New("name missing, or with a slash or a line end in it"))
	}
	switch s.Kind {
	case KindCommand:
		if len(s.Command) == 0 || s.Command[0] == "" {
			errs = append(errs, errors.New("kind command needs command = [\"program\", ...]"))
		}
		for i, arg := range s.Command {
			if i == 0 && strings.Contains(arg, placeholder) {
				errs = append(errs, fmt.Errorf("command: the program %q cannot depend on the slice", arg))
			} else if err := s.checkPlaceholders(arg); err != nil {
				errs = append(errs, fmt.Errorf("command: %w", err))
			}
		}
	case KindResident, KindTFReco, KindSynthetic, KindEICrecon: // what is theirs is below
	default:
		errs = append(errs, fmt.Errorf("kind %q is none of command, resident, tfreco, synthetic, eicrecon", s.Kind))
	}
	if len(s.Command) > 0 && slices.Contains([]Kind{KindTFReco, KindSynthetic, KindEICrecon}, s.Kind) {
		errs = append(errs, fmt.Errorf("command: kind %s has its own", s.Kind))
	}
	errs = append(errs, s.Synthetic.validate(s.Kind), s.EICrecon.validate(s.Kind), s.validateResident())
	for _, key := range slices.Sorted(maps.Keys(s.Env)) {
		value := s.Env[key]
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") || strings.HasPrefix(key, "TFPILOT_") {
			errs = append(errs, fmt.Errorf("env.%s: not a name that can be set (TFPILOT_ is ours)", key))
		}
		if err := s.checkPlaceholders(value); err != nil {
			errs = append(errs, fmt.Errorf("env.%s: %w", key, err))
		}
	}
	errs = append(errs,
		checkNumber("cores", s.Cores), checkNumber("memory_mb", s.MemoryMB), checkNumber("disk_mb", s.DiskMB),
		checkTime("timeout", s.Timeout), checkTime("grace", s.Grace), checkTime("synthetic.duration", s.Synthetic.Duration),
		checkScripts(s.Command), s.Failures.validate(), s.Input.validate(), s.Output.validate(), s.Limits.validate(s.Timeout), s.validateContainer(),
	)
	return errors.Join(errs...)
}

// checkNumber holds a number to what a machine can have; 0 is one that is left out.
func checkNumber(key string, n int) error {
	if n < 0 || n > mostOfAnything {
		return fmt.Errorf("%s = %d: must be 1 to %d, or left out", key, n, mostOfAnything)
	}
	return nil
}

// checkTime holds a time to what can pass; 0 is one that is left out.
func checkTime(key string, d time.Duration) error {
	if d < 0 || (d > 0 && d < shortest) {
		return fmt.Errorf("%s = %s: must be at least %s", key, d, shortest)
	}
	return nil
}
