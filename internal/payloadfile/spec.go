package payloadfile

import (
	"time"

	"tfpilot/internal/container"
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
	// Command is program and arguments of the kinds command and resident. A program with a slash is taken relative to the TOML file;
	// in arguments ${TFPILOT_INPUT} and the like stand for [Variables].
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
