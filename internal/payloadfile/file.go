package payloadfile

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// file is a Spec as it stands in TOML, where a duration is text with its unit.
type file struct {
	Spec
	Timeout   duration   `toml:"timeout"`
	Grace     duration   `toml:"grace"`
	Limits    fileLimits `toml:"limits"`
	Synthetic struct {
		Synthetic
		Duration duration `toml:"duration"`
	} `toml:"synthetic"`
	EICrecon fileEICrecon `toml:"eicrecon"`
	Resident residentFile `toml:"resident"`
}

// decode reads a Spec strictly; name is that of the file, for messages.
func decode(name string, text []byte) (Spec, error) {
	var f file
	if err := config.DecodeTOML(name, text, &f); err != nil {
		return Spec{}, err
	}
	var errs []error
	for _, d := range []struct {
		key string
		duration
	}{
		{"timeout", f.Timeout},
		{"grace", f.Grace},
		{"synthetic.duration", f.Synthetic.Duration},
		{"limits.cpu", f.Limits.CPU},
		{"limits.looping", f.Limits.Looping},
		{"eicrecon.startup_timeout", f.EICrecon.StartupTimeout},
		{"eicrecon.request_timeout", f.EICrecon.RequestTimeout},
		{"resident.startup_timeout", f.Resident.StartupTimeout},
		{"resident.keepalive", f.Resident.Keepalive},
	} {
		if d.bare != "" {
			errs = append(errs, fmt.Errorf("%s:%d: %s = %s has no unit: write \"%ss\" for seconds", name, config.LineOf(text, d.key), d.key, d.bare, d.bare))
		}
	}
	if len(errs) > 0 {
		return Spec{}, exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
	}
	s := f.Spec
	s.Timeout, s.Grace = f.Timeout.value, f.Grace.value
	s.Limits = f.Limits.limits()
	s.Synthetic = f.Synthetic.Synthetic
	s.Synthetic.Duration = f.Synthetic.Duration.value
	s.EICrecon = f.EICrecon.spec()
	s.Resident = f.Resident.spec()
	return s, nil
}

// duration is no number, so that the library cannot take a bare one for nanoseconds.
type duration struct {
	value time.Duration
	bare  string // a number without its unit
}

// UnmarshalText parses "90s", "2m". A bare number is no error here, because the library would not say where it stands.
func (d *duration) UnmarshalText(b []byte) error {
	if _, err := strconv.ParseFloat(string(b), 64); err == nil {
		d.bare = string(b)
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration such as \"90s\" or \"2m\"", b)
	}
	if v == 0 {
		return fmt.Errorf("%q is no time: leave the key out for its default", b)
	}
	d.value = v
	return nil
}
