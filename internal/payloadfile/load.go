package payloadfile

import (
	"os"
	"path/filepath"
	"time"

	"tfpilot/internal/exitcode"
)

// Defaults of a Spec.
const (
	defaultTimeout = 10 * time.Minute
	defaultGrace   = 5 * time.Second
)

// Load reads a payload by the path of its TOML file, or by the name of a built-in: tfreco, synthetic, eicrecon (noop). An unknown
// key names its line.
func Load(name string) (Spec, error) {
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
