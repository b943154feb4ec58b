package payloadfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what a Spec may say.
const (
	// shortest keeps a unit that was meant to be another from failing every slice.
	shortest = time.Millisecond
	// maxSizeMB keeps a slip of the finger from taking the machine down.
	maxSizeMB = 1 << 20
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
			} else if err := checkPlaceholders(arg); err != nil {
				errs = append(errs, fmt.Errorf("command: %w", err))
			}
		}
	case KindResident: // below
	case KindTFReco: // below
	case KindSynthetic:
		if modes := SyntheticModes(); !slices.Contains(modes, s.Synthetic.Mode) {
			errs = append(errs, fmt.Errorf("synthetic.mode %q is none of %s", s.Synthetic.Mode, strings.Join(modes, ", ")))
		}
		if s.Synthetic.SizeMB < 0 || s.Synthetic.SizeMB > maxSizeMB {
			errs = append(errs, fmt.Errorf("synthetic.size_mb = %d: must be 0 to %d", s.Synthetic.SizeMB, maxSizeMB))
		}
	case KindEICrecon:
		for key, value := range s.Env {
			errs = append(errs, checkStaying("env."+key, value))
		}
	default:
		errs = append(errs, fmt.Errorf("kind %q is none of command, resident, tfreco, synthetic, eicrecon", s.Kind))
	}
	if len(s.Command) > 0 && slices.Contains([]Kind{KindTFReco, KindSynthetic, KindEICrecon}, s.Kind) {
		errs = append(errs, fmt.Errorf("command: kind %s has its own", s.Kind))
	}
	if s.Kind != KindSynthetic && s.Synthetic != (Synthetic{}) {
		errs = append(errs, fmt.Errorf("[synthetic] is for kind synthetic, not for %s", s.Kind))
	}
	if err := errors.Join(s.EICrecon.validate(s.Kind), s.validateResident()); err != nil {
		errs = append(errs, err)
	}
	for key, value := range s.Env {
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") || strings.HasPrefix(key, "TFPILOT_") {
			errs = append(errs, fmt.Errorf("env.%s: not a name that can be set (TFPILOT_ is ours)", key))
		}
		if err := checkPlaceholders(value); err != nil {
			errs = append(errs, fmt.Errorf("env.%s: %w", key, err))
		}
	}
	for key, n := range map[string]int{"cores": s.Cores, "memory_mb": s.MemoryMB, "disk_mb": s.DiskMB} {
		if n < 0 || n > mostOfAnything {
			errs = append(errs, fmt.Errorf("%s = %d: must be 1 to %d, or left out", key, n, mostOfAnything))
		}
	}
	for key, d := range map[string]time.Duration{"timeout": s.Timeout, "grace": s.Grace, "synthetic.duration": s.Synthetic.Duration} {
		if d < 0 || (d > 0 && d < shortest) {
			errs = append(errs, fmt.Errorf("%s = %s: must be at least %s", key, d, shortest))
		}
	}
	errs = append(errs, checkScripts(s.Command), s.Failures.validate(), s.Input.validate(), s.Output.validate(), s.Limits.validate(s.Timeout), s.validateContainer())
	return errors.Join(errs...)
}
