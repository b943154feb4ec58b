package payload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
)

// Kind is how a payload is run.
type Kind string

// The kinds.
const (
	KindCommand   Kind = "command"   // a process per slice
	KindResident  Kind = "resident"  // a process per slot, fed one slice after another
	KindTFReco    Kind = "tfreco"    // the built-in reconstruction: a command of the static binary tfpilot-payload
	KindSynthetic Kind = "synthetic" // a scriptable fake
	KindEICrecon  Kind = "eicrecon"  // the experiment's reconstruction, as the production worker runs it
)

// Spec is a payload's TOML file.
type Spec struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	Kind    Kind   `toml:"kind"`
	// Command is program and arguments of kind command. A program with a slash is taken relative to the TOML file; in
	// arguments ${TFPILOT_INPUT} and the like stand for the variables of the slice.
	Command []string `toml:"command"`
	// Env is added to the scrubbed environment.
	Env map[string]string `toml:"env"`
	// Timeout is the wall time of one slice (default 10m; 1h for kind eicrecon, as in the production worker).
	Timeout time.Duration `toml:"-"`
	// Grace is the time between SIGTERM and SIGKILL (default 5s).
	Grace time.Duration `toml:"-"`
	// Cores and MemoryMB are what one payload needs; --slots auto counts by them. Zero is one core, and any memory. MemoryMB is also the
	// most that all its processes may take together, and DiskMB what may lie in the slice's folder, in MiB; 0 is no limit.
	Cores    int `toml:"cores"`
	MemoryMB int `toml:"memory_mb"`
	DiskMB   int `toml:"disk_mb"`
	// Failures say what the ends of a program mean that does not know the contract.
	Failures Failures `toml:"failures"`
	// Output says which files are outputs, and what they are called where they are kept.
	Output OutputRules `toml:"output"`
	// Limits are further ones.
	Limits Limits `toml:"-"`
	// Container is what the payload's programs run in; nil runs them on the node as it is.
	Container *container.Spec `toml:"container"`
	// Synthetic says what the fake does.
	Synthetic Synthetic `toml:"-"`
	// EICrecon says how the experiment's reconstruction is run.
	EICrecon EICrecon `toml:"-"`
	// Resident is how a payload that stays is kept.
	Resident Resident `toml:"-"`

	// Input is for files on remote storage.
	Input Input `toml:"input"`

	// Dir is where the file was; empty for a built-in.
	Dir string `toml:"-"`
}

// InProcess says that the payload is a timer in this process: it needs no folder and starts nothing.
func (s Spec) InProcess() bool {
	return s.Kind == KindSynthetic && (s.Synthetic.Mode == "noop" || s.Synthetic.Mode == "sleep")
}

// Stays says that something of the payload may stay in a slot between slices.
func (s Spec) Stays() bool { return s.Kind == KindResident || s.Kind == KindEICrecon }

// ImagesAreNamed says that slices name the images in which their programs run, so that Container has none.
func (s Spec) ImagesAreNamed() bool { return s.Kind == KindEICrecon }

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

// Defaults of a Spec.
const (
	defaultTimeout = 10 * time.Minute
	defaultGrace   = 5 * time.Second
	// shortest keeps a unit that was meant to be another from failing every slice.
	shortest = time.Millisecond
	// maxSizeMB keeps a slip of the finger from taking the machine down.
	maxSizeMB = 1 << 20
	// mostOfAnything is beyond any machine: it would be a number of bytes.
	mostOfAnything = 1_000_000_000
)

// LoadSpec reads a payload by the path of its TOML file, or by the name of a built-in: tfreco, synthetic, eicrecon (noop). An unknown
// key names its line.
func LoadSpec(name string) (Spec, error) {
	var s Spec
	var text []byte
	switch name {
	case "", string(KindTFReco):
		s = Spec{Name: "tfreco", Version: "1", Kind: KindTFReco}
	case string(KindSynthetic), "noop":
		s = Spec{Name: "synthetic", Version: "1", Kind: KindSynthetic, Synthetic: Synthetic{Mode: "noop"}}
	case string(KindEICrecon):
		s = Spec{Name: "eicrecon", Version: "1", Kind: KindEICrecon}
	default:
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return Spec{}, exitcode.New(exitcode.Usage, "reading payload: %w; or name a built-in: tfreco, synthetic, eicrecon", err)
		}
		if s, err = decode(name, text); err != nil {
			return Spec{}, err
		}
		dir, err := filepath.Abs(filepath.Dir(name))
		if err != nil {
			return Spec{}, exitcode.Wrap(exitcode.Usage, err)
		}
		s.Dir = dir
	}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
		if s.Kind == KindEICrecon {
			s.Timeout = defaultEICreconTimeout
		}
	}
	if s.Grace == 0 {
		s.Grace = defaultGrace
	}
	if s.Kind == KindResident && s.Resident.StartupTimeout == 0 {
		s.Resident.StartupTimeout = defaultStartupTimeout
	}
	if err := s.Validate(); err != nil {
		return Spec{}, exitcode.New(exitcode.Usage, "payload %s: %w", name, located(name, text, err))
	}
	return s, nil
}

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
